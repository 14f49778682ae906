-- Puts an event into its conversation's mailbox and makes the conversation ready. Answers 1: taken, 0: seen before,
-- -1: the mailbox is full (nothing was written).
-- Where the place (or else `when_busy`) has it so, a message ends what is under way and whatever waits before it; and
-- any event ends the answer to `ends`, an event that is at the mailbox's head.
local conversation, mailbox, ready, seen, place = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local token, event, id, most, remember = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local channel, when_busy, ends = ARGV[6], ARGV[7], ARGV[8]

local taker = redis.call('GET', seen)
if taker then
  -- A write, so that waiting for the disk covers the first call's writes too, whoever made it.
  redis.call('EXPIRE', seen, remember)
  return taker == token and 1 or 0
end
local waiting = redis.call('LLEN', mailbox)
if waiting >= most then
  return -1
end
redis.call('SET', seen, token, 'EX', remember)
local stopped = 0
if when_busy ~= '' and (redis.call('HGET', place, 'set.when_busy') or when_busy) == 'interrupt' then
  stopped = waiting
elseif ends ~= '' and redis.call('LINDEX', mailbox, 0) == ends then
  stopped = 1
end
if stopped > 0 then
  local state = redis.call('HMGET', conversation, 'done', 'stop')
  local upto = tonumber(state[1] or '0') + stopped
  redis.call('HSET', conversation, 'stop', math.max(upto, tonumber(state[2] or '0')))
  redis.call('PUBLISH', channel, id)
end
redis.call('RPUSH', mailbox, event)
if redis.call('HEXISTS', conversation, 'entry') == 0 then
  redis.call('HSET', conversation, 'entry', redis.call('XADD', ready, '*', 'c', id))
end
return 1
