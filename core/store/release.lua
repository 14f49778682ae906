-- Hands a conversation back as it is: whoever reads the stream `there` may claim it at once, by a new entry at the end
-- of the line. Or its entry `stays` in its own stream, and is given to the next reader once it is stale.
-- Answers -1: the lease is lost, 1: handed back (also when repeated).
local conversation, ready, there = KEYS[1], KEYS[2], KEYS[3]
local token, fence, entry, id, begun, stays = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]

local state = redis.call('HMGET', conversation, 'own', 'fence', 'ended')
if state[1] ~= token or state[2] ~= fence then
  return state[3] == token and 1 or -1
end
if begun == '0' then
  redis.call('HINCRBY', conversation, 'tries', -1)
end
redis.call('HDEL', conversation, 'own', 'until')
redis.call('HSET', conversation, 'ended', token)
if stays == '1' then
  return 1
end
redis.call('XACK', ready, 'workers', entry)
redis.call('XDEL', ready, entry)
redis.call('HSET', conversation, 'entry', redis.call('XADD', there, '*', 'c', id))
return 1
