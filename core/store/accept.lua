-- Puts an event into its conversation's mailbox and makes the conversation ready. Answers 1: taken, 0: seen before,
-- -1: the mailbox is full (nothing was written).
-- Where the place (or else `when_busy`) has it so, a message ends what is under way and whatever waits before it; and
-- any event ends the answer to `ends`, an event that is at the mailbox's head. In a quiet place what was not `called`
-- is not taken.
-- `more` is for how many milliseconds the speaker may go on with what this is a piece of: what goes on with it does not
-- end it, and no claim is made before that.
local conversation, mailbox, ready, seen, place = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local token, event, id, most, remember = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local channel, when_busy, ends, more, speaker = ARGV[6], ARGV[7], ARGV[8], tonumber(ARGV[9]), ARGV[10]
local called = ARGV[11]

local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function goes_on()
  local piece = redis.call('HMGET', conversation, 'more', 'more.of')
  return piece[2] == speaker and tonumber(piece[1]) >= clock()
end

local taker = redis.call('GET', seen)
if taker then
  -- A write, so that waiting for the disk covers the first call's writes too, whoever made it.
  redis.call('EXPIRE', seen, remember)
  return taker == token and 1 or 0
end
if called ~= '1' and redis.call('HGET', place, 'set.quiet') == 'on' then
  return 0
end
local waiting = redis.call('LLEN', mailbox)
if waiting >= most then
  return -1
end
redis.call('SET', seen, token, 'EX', remember)
local stopped = 0
if when_busy ~= '' and (redis.call('HGET', place, 'set.when_busy') or when_busy) == 'interrupt' then
  stopped = goes_on() and 0 or waiting
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
if more > 0 then
  redis.call('HSET', conversation, 'more', clock() + more, 'more.of', speaker)
end
if redis.call('HEXISTS', conversation, 'entry') == 0 then
  redis.call('HSET', conversation, 'entry', redis.call('XADD', ready, '*', 'c', id))
end
return 1
