-- Lets a conversation's first turns go, if they are still what the caller has seen ('': none); with the last one, all
-- that is kept of a conversation in which nothing waits. Answers 1: done, 0: its turns are others now.
local conversation, mailbox, turns = KEYS[1], KEYS[2], KEYS[3]
local first, count = ARGV[1], tonumber(ARGV[2])

if (redis.call('LINDEX', turns, 0) or '') ~= first then
  return 0
end
redis.call('LTRIM', turns, count, -1)
if redis.call('EXISTS', turns) == 0 then
  if redis.call('HEXISTS', conversation, 'entry') == 0 and redis.call('EXISTS', mailbox) == 0 then
    redis.call('DEL', conversation)
  else
    redis.call('HDEL', conversation, 'summary', 'window')
  end
end
return 1
