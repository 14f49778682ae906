-- Joins an account with the one that a code is from, as far as they talk to the bots with which that was said. Answers
-- {'unknown'}: there is no such code now, {'own'}: it is from this very account and place, {'other'}: the account is joined with others already, or {'joined', account, name}, also when
-- repeated. A code is good for one account.
local links, codes = KEYS[1], KEYS[2]
local account, place, here, code, new_link = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends, of, its_place, there, used, name =
  string.match(redis.call('HGET', codes, code) or '', '^(%d+) (%S+) (%S+) (%S+) (%S+) (.*)$')
if not ends or tonumber(ends) <= now or (used ~= '-' and used ~= account) then
  return {'unknown'}
end
if of == account and its_place == place then
  return {'own'}
end
local ours, theirs = redis.call('HGET', links, account), redis.call('HGET', links, of)
if ours and ours ~= theirs then
  return {'other'}
end
local link = theirs or new_link
redis.call('HSET', links, of, link, account, link)
redis.call('HSET', links, its_place, link .. ' ' .. of, there, link .. ' ' .. of)
redis.call('HSET', links, place, link .. ' ' .. account, here, link .. ' ' .. account)
redis.call('HSET', codes, code, table.concat({ends, of, its_place, there, account, name}, ' '))
return {'joined', of, name}
