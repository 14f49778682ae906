-- Adds turns to the end of a conversation's memory. Answers 1: done (also when repeated), 0: its last turn is another
-- one than the caller has seen.
local conversation, turns = KEYS[1], KEYS[2]
local last, new_last, most, first_turn = ARGV[1], ARGV[2], tonumber(ARGV[3]), 4

local there = redis.call('HGET', conversation, 'last') or '0'
if there == new_last then
  return 1
end
if there ~= last then
  return 0
end
for i = first_turn, #ARGV do
  redis.call('RPUSH', turns, ARGV[i])
end
redis.call('LTRIM', turns, -most, -1)
redis.call('HSET', conversation, 'last', new_last)
return 1
