-- Renews leases, and keeps their ready entries from being taken for stale. KEYS: conversation, ready for each;
-- ARGV: lease, then token, fence, entry, number for each. Answers for each 0: lost, 1: held, 2: held and to be stopped.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = tonumber(ARGV[1])
local answers = {}
for i = 1, #KEYS / 2 do
  local conversation, ready = KEYS[2 * i - 1], KEYS[2 * i]
  local token, fence, entry, number = unpack(ARGV, 4 * i - 2, 4 * i + 1)
  local state = redis.call('HMGET', conversation, 'own', 'fence', 'stop')
  if state[1] == token and state[2] == fence then
    redis.call('HSET', conversation, 'until', now + lease)
    redis.call('XCLAIM', ready, 'workers', 'worker', 0, entry, 'JUSTID')
    answers[i] = tonumber(state[3] or '0') >= tonumber(number) and 2 or 1
  else
    answers[i] = 0
  end
end
return answers
