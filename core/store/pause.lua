-- Silences a bot for some milliseconds, or for longer if it is silent already, and tells all workers.
local pauses = KEYS[1]
local bot, length, channel, message = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local time = redis.call('TIME')
local ends = time[1] * 1000 + math.floor(time[2] / 1000) + length
if ends > tonumber(redis.call('HGET', pauses, bot) or '0') then
  redis.call('HSET', pauses, bot, ends)
end
redis.call('PUBLISH', channel, message)
return 1
