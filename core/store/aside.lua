-- Keeps an event that was set aside; what was kept first of it stays. Whatever is too old goes, and the oldest when
-- there are too many. Answers 1, also when repeated.
local aside = KEYS[1]
local id, record, now, most, life = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

redis.call('HSETNX', aside, id, now .. ' ' .. record)
redis.call('EXPIRE', aside, life)
local oldest, first
local all = redis.call('HGETALL', aside)
for i = 1, #all, 2 do
  local since = tonumber(string.match(all[i + 1], '^%d+'))
  if since < now - life then
    redis.call('HDEL', aside, all[i])
  elseif not first or since < first then
    oldest, first = all[i], since
  end
end
if redis.call('HLEN', aside) > most then
  redis.call('HDEL', aside, oldest)
end
return 1
