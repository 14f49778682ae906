-- Puts records in place of others in a list, by index; all of them, or none if one is not what the caller has seen.
-- Where a conversation is given, it counts how often its turns were changed so: whoever answers it knows by that.
-- Answers 1: done (also when repeated), 0: the list has changed.
local list, conversation = KEYS[1], KEYS[2]

for i = 1, #ARGV, 3 do
  local there = redis.call('LINDEX', list, ARGV[i])
  if there ~= ARGV[i + 1] and there ~= ARGV[i + 2] then
    return 0
  end
end
for i = 1, #ARGV, 3 do
  redis.call('LSET', list, ARGV[i], ARGV[i + 2])
end
if conversation and redis.call('EXISTS', conversation) == 1 then
  redis.call('HINCRBY', conversation, 'swaps', 1)
end
return 1
