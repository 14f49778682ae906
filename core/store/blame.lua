-- Counts the claims of an event, one after the other, that ended with no more of its reply recorded than the one
-- before had, and were not given back. A holder asks when it begins, or says that it is about to give back.
-- Answers -1: the lease is lost, else the count (also when repeated).
local conversation, reply = KEYS[1], KEYS[2]
local token, fence, progress, gives_back = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]

local state = redis.call('HMGET', conversation, 'own', 'fence')
if state[1] ~= token or state[2] ~= fence then
  return -1
end
local blame = redis.call('HMGET', reply, 'blame.fence', 'blame.progress', 'blame.count', 'given')
local count = tonumber(blame[3] or '0')
if gives_back == '1' then
  redis.call('HSET', reply, 'given', fence)
  return count
end
if blame[1] == fence then
  return count
end
if progress > tonumber(blame[2] or '0') then
  count = 0
elseif tonumber(blame[4] or '0') ~= tonumber(fence) - 1 then
  count = count + 1
end
redis.call('HSET', reply, 'blame.fence', fence, 'blame.progress', progress, 'blame.count', count)
return count
