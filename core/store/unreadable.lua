-- Sets an event aside that nobody can read, so that its conversation goes on, and keeps the record for whoever looks.
-- What waits then is ready in the stream `there`. Answers -1: the lease is lost, 1: set aside (also when repeated).
local conversation, mailbox, reply, ready, there, aside = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local token, fence, entry, id, most = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local state = redis.call('HMGET', conversation, 'own', 'fence', 'ended', 'phase')
if state[1] ~= token or state[2] ~= fence then
  return state[3] == token and 1 or -1
end
redis.call('HSET', conversation, 'ended', token)
local record
if state[4] == 'delivering' then
  record = redis.call('HGET', reply, 'event')
else
  record = redis.call('LPOP', mailbox)
  redis.call('HINCRBY', conversation, 'done', 1)
end
redis.call('XADD', aside, 'MAXLEN', most, '*', 'c', id, 'e', record)
redis.call('HDEL', conversation, 'own', 'until', 'phase', 'tries', 'batch', 'all')
redis.call('DEL', reply)
redis.call('XACK', ready, 'workers', entry)
redis.call('XDEL', ready, entry)
if redis.call('LLEN', mailbox) > 0 then
  redis.call('HSET', conversation, 'entry', redis.call('XADD', there, '*', 'c', id))
else
  redis.call('HDEL', conversation, 'entry', 'stop', 'more', 'more.of')
end
return 1
