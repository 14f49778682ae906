-- All that is kept of some conversations, as it stands at one moment: the first `count` turns, what waits, and the
-- event whose reply is being delivered. KEYS: turns, mailbox, reply for each.
local answers = {}
for i = 1, #KEYS, 3 do
  answers[#answers + 1] = {
    redis.call('LRANGE', KEYS[i], 0, ARGV[1] - 1),
    redis.call('LRANGE', KEYS[i + 1], 0, -1),
    redis.call('HGET', KEYS[i + 2], 'event'),
  }
end
return answers
