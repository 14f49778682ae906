-- Forgets a conversation: what waits, what is remembered, the reply under way, what nobody could read. Whoever answers
-- it has lost its lease. Answers 1 if there was anything.
local conversation, mailbox, turns, reply, ready, aside =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local id = ARGV[1]

local entry = redis.call('HGET', conversation, 'entry')
if entry then
  redis.pcall('XACK', ready, 'workers', entry)
  redis.call('XDEL', ready, entry)
end
local gone = redis.call('DEL', conversation, mailbox, turns, reply)
for _, unreadable in ipairs(redis.call('XRANGE', aside, '-', '+')) do
  if unreadable[2][2] == id then
    gone = gone + redis.call('XDEL', aside, unreadable[1])
  end
end
return gone > 0 and 1 or 0
