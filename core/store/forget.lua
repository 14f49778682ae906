-- Forgets a conversation: what waits, what is remembered, the reply under way, its title, what nobody could read, and
-- its branches, whose keys come last.
-- Whoever answers it has lost its lease. Answers 1 if there was anything.
local conversation, mailbox, turns, reply, ready, aside, place =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local id, title = ARGV[1], ARGV[2]

local entry = redis.call('HGET', conversation, 'entry')
if entry then
  redis.pcall('XACK', ready, 'workers', entry)
  redis.call('XDEL', ready, entry)
end
local gone = redis.call('DEL', conversation, mailbox, turns, reply, unpack(KEYS, 8)) + redis.call('HDEL', place, title)
for _, unreadable in ipairs(redis.call('XRANGE', aside, '-', '+')) do
  if unreadable[2][2] == id then
    gone = gone + redis.call('XDEL', aside, unreadable[1])
  end
end
return gone > 0 and 1 or 0
