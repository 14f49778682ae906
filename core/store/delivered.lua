-- Ends an activation: the reply is in the room, or what stands there goes into memory instead of it. What waits then is
-- ready in the stream `there`.
-- Answers -1: the lease is lost, 1: ended (also when repeated).
local conversation, mailbox, reply, turns, ready, there = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local token, fence, entry, id, instead = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local state = redis.call('HMGET', conversation, 'own', 'fence', 'ended', 'swaps', 'completed')
if state[1] ~= token or state[2] ~= fence then
  return state[3] == token and 1 or -1
end
-- What was forgotten meanwhile stays forgotten.
if instead ~= '' and (state[4] or '0') == (state[5] or '0') and redis.call('LLEN', turns) > 0 then
  redis.call('LSET', turns, -1, instead)
end
redis.call('HDEL', conversation, 'own', 'until', 'phase', 'tries', 'completed')
redis.call('HSET', conversation, 'ended', token)
redis.call('DEL', reply)
redis.call('XACK', ready, 'workers', entry)
redis.call('XDEL', ready, entry)
if redis.call('LLEN', mailbox) > 0 then
  redis.call('HSET', conversation, 'entry', redis.call('XADD', there, '*', 'c', id))
else
  redis.call('HDEL', conversation, 'entry', 'stop', 'more', 'more.of')
end
return 1
