-- Puts an answered event's turns into memory and goes from answering to delivering; lease and ready entry stay.
-- Where several were answered together, `event` is what they came to.
-- Behind the keys of the conversation may come those of its branches: what is cut off is kept as one of them then, and
-- what is cleared goes with all of them.
-- What takes the place of turns was made of them as they stood after so many `swaps`.
-- Answers -1: the lease is lost, -2: memory has other turns than the caller thinks, 1: complete (also when repeated).
local conversation, mailbox, turns, reply, place = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local token, fence, lease, number, last = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local text, window, most, clear = ARGV[6], ARGV[7], tonumber(ARGV[8]), ARGV[9]
local sets_persona, persona, server, summary = ARGV[10], ARGV[11], ARGV[12], ARGV[13]
local cut, taken, event, swaps, first_turn = tonumber(ARGV[14]), tonumber(ARGV[15]), ARGV[16], ARGV[17], 18
local first_branch = 6

-- The first branch that is empty; where none is, the oldest goes and the others move up.
local function free_branch()
  for i = first_branch, #KEYS do
    if redis.call('EXISTS', KEYS[i]) == 0 then
      return KEYS[i]
    end
  end
  for i = first_branch + 1, #KEYS do
    redis.call('RENAME', KEYS[i], KEYS[i - 1])
  end
  return KEYS[#KEYS]
end

local state = redis.call('HMGET', conversation, 'own', 'fence', 'phase', 'done', 'last', 'swaps')
if state[1] ~= token or state[2] ~= fence then
  return -1
end
local time = redis.call('TIME')
redis.call('HSET', conversation, 'until', time[1] * 1000 + math.floor(time[2] / 1000) + lease)
local done = tonumber(state[4] or '0')
if state[3] == 'delivering' and done == number + taken - 1 then
  return 1
end
if done + 1 ~= number or (state[5] or '0') ~= last then
  return -2
end
if cut > 0 and (state[6] or '0') ~= swaps then
  return -2
end

if clear == '1' then
  redis.call('DEL', turns, unpack(KEYS, first_branch))
  redis.call('HDEL', conversation, 'summary', 'fold', 'fold.until')
end
if summary ~= '' and redis.call('HEXISTS', conversation, 'summary') == 1 then
  redis.call('HSET', conversation, 'summary', summary)
end
if cut > 0 and #KEYS >= first_branch then
  local branch = free_branch()
  for _, turn in ipairs(redis.call('LRANGE', turns, -cut, -1)) do
    redis.call('RPUSH', branch, turn)
  end
end
-- The new turns take the place of so many of the last ones.
redis.call('LTRIM', turns, 0, -cut - 1)
local count = #ARGV - first_turn + 1 - cut
for i = first_turn, #ARGV do
  redis.call('RPUSH', turns, ARGV[i])
end
redis.call('LTRIM', turns, -most, -1)
redis.call('HSET', conversation,
  'phase', 'delivering', 'done', number + taken - 1, 'last', tonumber(last) + count, 'tries', 1,
  'completed', state[6] or '0')
if window == '' then
  redis.call('HDEL', conversation, 'window')
else
  redis.call('HSET', conversation, 'window', window)
end
if sets_persona == '1' then
  if persona == '' then
    redis.call('HDEL', place, 'persona')
  else
    redis.call('HSET', place, 'persona', persona)
  end
end
if server ~= '' then
  redis.call('HSET', place, 'server', server)
end
redis.call('HDEL', conversation, 'batch', 'all')
local answered = redis.call('LPOP', mailbox)
for _ = 2, taken do
  redis.call('LPOP', mailbox)
  answered = event
end
redis.call('HSET', reply, 'event', answered, 'text', text)
return 1
