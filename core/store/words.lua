-- All that is kept of some conversations, as it stands at one moment: the first `count` turns, what waits, the summary,
-- and the reply under way. KEYS: turns, mailbox, conversation, reply for each.
local answers = {}
for i = 1, #KEYS, 4 do
  answers[#answers + 1] = {
    redis.call('LRANGE', KEYS[i], 0, ARGV[1] - 1),
    redis.call('LRANGE', KEYS[i + 1], 0, -1),
    redis.call('HGET', KEYS[i + 2], 'summary'),
    redis.call('HGETALL', KEYS[i + 3]),
  }
end
return answers
