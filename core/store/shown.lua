-- Records which message of the platform a part has become. Answers -1: the lease is lost, 1: recorded.
local conversation, reply = KEYS[1], KEYS[2]
local token, fence, part, message = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local state = redis.call('HMGET', conversation, 'own', 'fence')
if state[1] ~= token or state[2] ~= fence then
  return -1
end
redis.call('HSET', reply, 'm' .. part, message)
return 1
