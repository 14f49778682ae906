-- Keeps a code, by its digest, with the account that it is from; the account's last one goes, and whatever is good no
-- more. Answers 1, also when repeated.
local codes = KEYS[1]
local account, place, here, code, life, name = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local all = redis.call('HGETALL', codes)
for i = 1, #all, 2 do
  local ends, of = string.match(all[i + 1], '^(%d+) (%S+)')
  if tonumber(ends) <= now or of == account then
    redis.call('HDEL', codes, all[i])
  end
end
local ends = string.format('%.0f', now + life)
redis.call('HSET', codes, code, table.concat({ends, account, place, here, '-', name}, ' '))
redis.call('PEXPIRE', codes, life)
return 1
