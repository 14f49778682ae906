-- Takes events out of a mailbox. If one of them is being answered, or its reply delivered, that ends: its lease is
-- lost, and what waits is ready for anybody. Answers 1, also when repeated.
local conversation, mailbox, reply, ready = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, first_event = ARGV[1], 2

local state = redis.call('HMGET', conversation, 'phase', 'entry', 'done', 'stop', 'batch')
local under_way
if state[1] == 'delivering' then
  under_way = redis.call('HGET', reply, 'event')
else
  under_way = redis.call('LINDEX', mailbox, 0)
end
local ended = false
for i = first_event, #ARGV do
  local position = redis.call('LPOS', mailbox, ARGV[i])
  ended = ended or ARGV[i] == under_way or (position and position < tonumber(state[5] or '0'))
  redis.call('LREM', mailbox, 0, ARGV[i])
end
if not ended then
  -- What waits moved up: a mark that meant some of it would hit others.
  local number = tonumber(state[3] or '0') + (state[1] == 'delivering' and 0 or 1)
  if tonumber(state[4] or '0') > number then
    redis.call('HSET', conversation, 'stop', number)
  end
  return 1
end
redis.call('HDEL', conversation, 'own', 'until', 'phase', 'tries', 'stop', 'entry', 'batch', 'all')
redis.call('DEL', reply)
if state[2] then
  redis.pcall('XACK', ready, 'workers', state[2])
  redis.call('XDEL', ready, state[2])
end
if redis.call('LLEN', mailbox) > 0 then
  redis.call('HSET', conversation, 'entry', redis.call('XADD', ready, '*', 'c', id))
end
return 1
