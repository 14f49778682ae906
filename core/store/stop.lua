-- Marks the event that a stop means, by its number, and wakes whoever answers it. Answers like accept.lua.
-- Numbers only grow, and a mark means all up to it: it never hits a later event.
local conversation, mailbox, seen = KEYS[1], KEYS[2], KEYS[3]
local token, id, channel, remember = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local taker = redis.call('GET', seen)
if taker then
  redis.call('EXPIRE', seen, remember)
  return taker == token and 1 or 0
end
redis.call('SET', seen, token, 'EX', remember)
local state = redis.call('HMGET', conversation, 'phase', 'done', 'stop')
local done, marked = tonumber(state[2] or '0'), tonumber(state[3] or '0')
if state[1] == 'delivering' then
  redis.call('HSET', conversation, 'stop', math.max(done, marked))
  redis.call('PUBLISH', channel, id)
elseif redis.call('LLEN', mailbox) > 0 then
  redis.call('HSET', conversation, 'stop', math.max(done + 1, marked))
  redis.call('PUBLISH', channel, id)
end
return 1
