-- Ends a control entry.
local stream, entry = KEYS[1], ARGV[1]
redis.call('XACK', stream, 'workers', entry)
return redis.call('XDEL', stream, entry)
