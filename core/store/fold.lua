-- Takes a conversation's summary, for whoever is to write the next one, and reads what there is to fold: the turns up to
-- number `upto`, at most `most` of them. Answers {'answered'}: somebody answers it now, or it has not got so many turns
-- any more, and whoever answers it will say when it is time;
-- {'held', milliseconds}: somebody else writes one; or {'ours', number of the first turn, turns, the summaries so far}.
local conversation, turns = KEYS[1], KEYS[2]
local token, lease, upto, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state = redis.call('HMGET', conversation, 'own', 'fold', 'fold.until', 'last', 'summary')
local left = tonumber(state[3] or '0') - now
if state[1] or upto > tonumber(state[4] or '0') then
  return {'answered'}
elseif state[2] and state[2] ~= token and left > 0 and left <= lease then
  return {'held', left}
end
redis.call('HSET', conversation, 'fold', token, 'fold.until', now + lease)

-- A list index is a turn's number less the number of the first turn that is kept.
local kept_from = tonumber(state[4] or '0') - redis.call('LLEN', turns) + 1
local first = math.max(kept_from, upto - most + 1)
local records = {}
if first <= upto then
  records = redis.call('LRANGE', turns, first - kept_from, upto - kept_from)
end
return {'ours', first, records, state[5] or ''}
