-- A worker's heartbeat. Answers how many workers live, then for each bot that must be silent its name and how many
-- milliseconds are left.
local workers, pauses = KEYS[1], KEYS[2]
local worker, life = ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', workers, now, worker)
redis.call('ZREMRANGEBYSCORE', workers, '-inf', now - life)
local left = {}
local all = redis.call('HGETALL', pauses)
for i = 1, #all, 2 do
  if tonumber(all[i + 1]) > now then
    left[#left + 1] = all[i]
    left[#left + 1] = all[i + 1] - now
  else
    redis.call('HDEL', pauses, all[i])
  end
end
return {redis.call('ZCARD', workers), left}
