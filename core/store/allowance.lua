-- What somebody has used in this minute and this day (UTC) of what they may.
-- ARGV: the most turns a minute and a day, the most tokens a minute and a day (0: any number), then how many turns and
-- tokens are used now. With neither it is only asked.
-- Answers {seconds to wait, 1 if that is said for the first time}; {0, 0} while nothing is used up. A repetition uses
-- twice, which is the safe side.
local used = KEYS[1]
local most = {{tonumber(ARGV[1]), tonumber(ARGV[3])}, {tonumber(ARGV[2]), tonumber(ARGV[4])}}
local uses = {tonumber(ARGV[5]), tonumber(ARGV[6])}
local seconds = {60, 86400}

local now = tonumber(redis.call('TIME')[1])
local wait = 0
for i = 1, 2 do
  local window = math.floor(now / seconds[i])
  if tonumber(redis.call('HGET', used, 'window' .. i) or '-1') ~= window then
    redis.call('HSET', used, 'window' .. i, window, 'turns' .. i, 0, 'tokens' .. i, 0)
  end
  for j, what in ipairs({'turns', 'tokens'}) do
    local so_far = redis.call('HINCRBY', used, what .. i, uses[j])
    if most[i][j] > 0 and so_far >= most[i][j] then
      wait = math.max(wait, (window + 1) * seconds[i] - now)
    end
  end
end
redis.call('EXPIRE', used, seconds[2])
if wait == 0 or uses[1] + uses[2] > 0 then
  return {0, 0}
end
local first = redis.call('HGET', used, 'told') ~= tostring(now + wait)
redis.call('HSET', used, 'told', now + wait)
return {wait, first and 1 or 0}
