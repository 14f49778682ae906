-- Puts an event into its conversation's mailbox and makes the conversation ready. Answers 1: taken, 0: seen before,
-- -1: the mailbox is full (nothing was written).
local conversation, mailbox, ready, seen = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local token, event, id, most, remember = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]

local taker = redis.call('GET', seen)
if taker then
  -- A write, so that waiting for the disk covers the first call's writes too, whoever made it.
  redis.call('EXPIRE', seen, remember)
  return taker == token and 1 or 0
end
if redis.call('LLEN', mailbox) >= most then
  return -1
end
redis.call('SET', seen, token, 'EX', remember)
redis.call('RPUSH', mailbox, event)
if redis.call('HEXISTS', conversation, 'entry') == 0 then
  redis.call('HSET', conversation, 'entry', redis.call('XADD', ready, '*', 'c', id))
end
return 1
