-- Puts an event that needs no conversation into the control stream. Answers like accept.lua.
local stream, seen = KEYS[1], KEYS[2]
local token, event, most, remember = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]

local taker = redis.call('GET', seen)
if taker then
  redis.call('EXPIRE', seen, remember)
  return taker == token and 1 or 0
end
if redis.call('XLEN', stream) >= most then
  return -1
end
redis.call('SET', seen, token, 'EX', remember)
redis.call('XADD', stream, '*', 'e', event)
return 1
