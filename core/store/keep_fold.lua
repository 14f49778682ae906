-- Keeps a summary for who writes it, or gives it back (for 0 milliseconds). Answers -1: it is not the caller's (any
-- more), 1: done.
local conversation = KEYS[1]
local token, lease = ARGV[1], tonumber(ARGV[2])

if redis.call('HGET', conversation, 'fold') ~= token then
  return -1
end
if lease == 0 then
  redis.call('HDEL', conversation, 'fold', 'fold.until')
else
  local time = redis.call('TIME')
  redis.call('HSET', conversation, 'fold.until', time[1] * 1000 + math.floor(time[2] / 1000) + lease)
end
return 1
