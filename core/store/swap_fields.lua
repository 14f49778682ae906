-- Puts records in place of others in a hash, each where it is still what the caller has seen. Answers 1.
local hash = KEYS[1]

for i = 1, #ARGV, 3 do
  if redis.call('HGET', hash, ARGV[i]) == ARGV[i + 1] then
    redis.call('HSET', hash, ARGV[i], ARGV[i + 2])
  end
end
return 1
