-- Records what the room is about to show as one part of the reply, and tells whoever watches.
-- Answers -1: the lease is lost, 0: recorded, 1: recorded and to be stopped.
local conversation, reply = KEYS[1], KEYS[2]
local token, fence, lease, number = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local part, record, channel = tonumber(ARGV[5]), ARGV[6], ARGV[7]

local state = redis.call('HMGET', conversation, 'own', 'fence', 'stop')
if state[1] ~= token or state[2] ~= fence then
  return -1
end
local time = redis.call('TIME')
redis.call('HSET', conversation, 'until', time[1] * 1000 + math.floor(time[2] / 1000) + lease)
redis.call('HSET', reply, 'p' .. part, record)
if part >= tonumber(redis.call('HGET', reply, 'parts') or '0') then
  redis.call('HSET', reply, 'parts', part + 1)
end
redis.call('PUBLISH', channel, record)
return tonumber(state[3] or '0') >= number and 1 or 0
