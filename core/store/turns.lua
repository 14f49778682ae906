-- The last turns of a conversation and what waits for an answer, as they stand at one moment.
local turns, mailbox = KEYS[1], KEYS[2]
return {redis.call('LRANGE', turns, -tonumber(ARGV[1]), -1), redis.call('LRANGE', mailbox, 0, -1)}
