-- Takes a conversation for one activation, by its ready entry, and reads all that is needed to answer.
-- Answers {'gone'}: this entry is not the conversation's any more, {'held'}: somebody's lease lasts, {'later', in so
-- many milliseconds}: more of what it has to answer may come, or {'ours', ...}.
local conversation, mailbox, turns, reply, place, ready =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local token, entry, lease, most = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local when_busy, most_collected = ARGV[5], tonumber(ARGV[6])
local longest = 60000

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state = redis.call('HMGET', conversation,
  'entry', 'own', 'until', 'phase', 'done', 'fence', 'last', 'window', 'summary', 'stop', 'tries', 'batch',
  'all', 'more', 'swaps')
local owner, phase = state[2], state[4] or 'answering'
local done, fence, last = tonumber(state[5] or '0'), tonumber(state[6] or '0'), tonumber(state[7] or '0')
local window, tries = tonumber(state[8] or '0'), tonumber(state[11] or '0')

if state[1] ~= entry then
  redis.call('XACK', ready, 'workers', entry)
  redis.call('XDEL', ready, entry)
  return {'gone'}
end
-- An end that no lease can have was written by another clock: this one was set back since, or follows one that was
-- ahead. Such a lease does not last until then.
local left = tonumber(state[3] or '0') - now
if owner and owner ~= token and left > 0 and left <= math.max(lease, longest) then
  return {'held'}
end

local number, event, text, others, all = done + 1, false, '', {}, state[13] or '1'
if phase == 'delivering' then
  number = done
  event, text = unpack(redis.call('HMGET', reply, 'event', 'text'))
else
  event = redis.call('LINDEX', mailbox, 0)
  -- Whoever takes over answers the same events, whatever has come since.
  local batch = tonumber(state[12] or '0')
  if event and batch == 0 then
    local waiting, comes = redis.call('LLEN', mailbox), tonumber(state[14] or '0') - now
    if owner ~= token and comes > 0 and comes <= longest and waiting < most_collected then
      return {'later', comes}
    end
    all = (redis.call('HGET', place, 'set.when_busy') or when_busy) == 'collect' and '1' or '0'
    if all == '1' or state[14] then
      batch = math.min(waiting, most_collected)
      redis.call('HSET', conversation, 'batch', batch, 'all', all)
    end
  end
  if batch > 1 then
    others = redis.call('LRANGE', mailbox, 1, batch - 1)
  end
end
if not event then
  redis.call('HDEL', conversation, 'entry', 'own', 'until', 'tries')
  redis.call('XACK', ready, 'workers', entry)
  redis.call('XDEL', ready, entry)
  return {'gone'}
end

if owner ~= token then
  fence, tries = fence + 1, tries + 1
  redis.call('HSET', conversation, 'own', token, 'fence', fence, 'tries', tries)
end
redis.call('HSET', conversation, 'until', now + lease)

-- A list index is a turn's number less the number of the first turn that is kept.
local kept = redis.call('LLEN', turns)
local start = math.max(0, kept - most)
if window > 0 then
  start = math.max(0, window - (last - kept + 1))
end
local parts = {}
for i = 0, tonumber(redis.call('HGET', reply, 'parts') or '0') - 1 do
  parts[#parts + 1] = redis.call('HMGET', reply, 'p' .. i, 'm' .. i)
end
return {'ours', fence, phase, number, event, text, redis.call('LRANGE', turns, start, -1), last,
  redis.call('HGET', place, 'persona'), state[9] or '', tonumber(state[10] or '0') >= number and 1 or 0, tries, parts, others,
  tonumber(all), redis.call('HGET', place, 'set.language'), redis.call('HGET', place, 'set.model'),
  tonumber(state[15] or '0')}
