-- A worker's heartbeat; with an empty `worker` it leaves, or somebody who is no worker has a look. Answers how many
-- workers live, for each bot that must be silent its name and how many milliseconds are left, when somebody leaves
-- or looks, the workers that have beaten within the last `lately` milliseconds, and the platforms that are held.
local workers, pauses, held = KEYS[1], KEYS[2], KEYS[3]
local worker, before, life, lately = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if before ~= worker then
  redis.call('ZREM', workers, before)
end
local others = {}
if worker == '' then
  others = redis.call('ZRANGEBYSCORE', workers, now - lately, '+inf')
else
  redis.call('ZADD', workers, now, worker)
end
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
return {redis.call('ZCARD', workers), left, others, redis.call('SMEMBERS', held)}
