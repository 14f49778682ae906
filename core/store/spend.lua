-- Takes from what a key may still use this minute. Two levels that fill up evenly: requests and tokens.
-- ARGV: their limits a minute (0: none), then how many requests and tokens are taken.
-- A request is refused while none is left of either; tokens that were made are taken even if the level falls below 0.
-- Answers {1, requests left, tokens left, 0}, or {0, requests left, tokens left, milliseconds to wait}. Nothing is
-- left or lacking where there is no limit: -1. A repetition takes twice, which is the safe side.
local bucket = KEYS[1]
local most = {tonumber(ARGV[1]), tonumber(ARGV[2])}
local takes = {tonumber(ARGV[3]), tonumber(ARGV[4])}

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local before = redis.call('HMGET', bucket, 'at', 'requests', 'tokens')
local left, wait = {}, 0
for i = 1, 2 do
  local passed = math.max(0, now - (tonumber(before[1]) or now))
  left[i] = math.min(most[i], (tonumber(before[i + 1]) or most[i]) + passed * most[i] / 60)
  if most[i] > 0 and takes[1] > 0 and left[i] < 1 then
    wait = math.max(wait, math.ceil((1 - left[i]) * 60000 / most[i]))
  end
end
local taken = wait == 0
local life = 60
for i = 1, 2 do
  if taken then left[i] = left[i] - takes[i] end
  if most[i] > 0 then life = math.max(life, math.ceil((most[i] - left[i]) * 60 / most[i])) end
end
redis.call('HSET', bucket, 'at', string.format('%.6f', now), 'requests', left[1], 'tokens', left[2])
redis.call('EXPIRE', bucket, life + 1)
local function shown(i) return most[i] > 0 and math.floor(left[i]) or -1 end
return {taken and 1 or 0, shown(1), shown(2), wait}
