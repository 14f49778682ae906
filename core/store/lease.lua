-- Takes, renews or (for 0 milliseconds) gives back a lease; only who has its token may do the last two.
-- Answers {'', milliseconds} when that is done, also when repeated, else {the holder's token, milliseconds left}.
local lease = KEYS[1]
local token, life = ARGV[1], tonumber(ARGV[2])

local holder = redis.call('GET', lease)
if holder and holder ~= token then
  return {holder, redis.call('PTTL', lease)}
end
if life > 0 then
  redis.call('SET', lease, token, 'PX', life)
else
  redis.call('DEL', lease)
end
return {'', life}
