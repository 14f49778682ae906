-- Takes an account out of its link, with its private places, and away the codes that are from it, or that it has used.
-- Answers 1, also when repeated.
local links, codes = KEYS[1], KEYS[2]
local account = ARGV[1]

redis.call('HDEL', links, account)
local all = redis.call('HGETALL', links)
for i = 1, #all, 2 do
  if string.match(all[i + 1], '^%S+ (.*)$') == account then
    redis.call('HDEL', links, all[i])
  end
end
all = redis.call('HGETALL', codes)
for i = 1, #all, 2 do
  local of, used = string.match(all[i + 1], '^%d+ (%S+) %S+ %S+ (%S+)')
  if of == account or used == account then
    redis.call('HDEL', codes, all[i])
  end
end
return 1
