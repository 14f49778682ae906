-- Puts records in place of others in a list, by index; all of them, or none if one is not what the caller has seen.
-- Answers 1: done (also when repeated), 0: the list has changed.
local list = KEYS[1]

for i = 1, #ARGV, 3 do
  local there = redis.call('LINDEX', list, ARGV[i])
  if there ~= ARGV[i + 1] and there ~= ARGV[i + 2] then
    return 0
  end
end
for i = 1, #ARGV, 3 do
  redis.call('LSET', list, ARGV[i], ARGV[i + 2])
end
return 1
