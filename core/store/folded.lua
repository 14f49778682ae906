-- Writes summaries in place of those that a fold began with, if all that it was made of is still remembered as it was,
-- and nobody is answering with the old ones. Answers 1: written (also when repeated), 0: it is out of date.
local conversation, turns = KEYS[1], KEYS[2]
local token, before, after = ARGV[1], ARGV[2], ARGV[3]
local first, upto, digest = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]

local state = redis.call('HMGET', conversation, 'own', 'fold', 'last', 'summary')
if state[4] == after then
  return 1
end
if state[1] or state[2] ~= token or (state[4] or '') ~= before then
  return 0
end
local kept_from = tonumber(state[3] or '0') - redis.call('LLEN', turns) + 1
if first < kept_from then
  return 0
end
local records = redis.call('LRANGE', turns, first - kept_from, upto - kept_from)
if redis.sha1hex(table.concat(records)) ~= digest then
  return 0
end
redis.call('HSET', conversation, 'summary', after)
redis.call('HDEL', conversation, 'fold', 'fold.until')
return 1
