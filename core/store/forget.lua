-- Forgets a conversation's turns. Numbers go on from where they were: none is ever used twice.
local conversation, turns = KEYS[1], KEYS[2]
redis.call('HDEL', conversation, 'summary', 'window')
return redis.call('DEL', turns)
