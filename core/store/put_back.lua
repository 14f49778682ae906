-- Makes entries that were read and not used stale at once. KEYS: the stream; ARGV: how long they shall seem to have
-- been idle, then the entries.
for i = 2, #ARGV do
  redis.call('XCLAIM', KEYS[1], 'workers', 'worker', 0, ARGV[i], 'IDLE', ARGV[1], 'JUSTID')
end
return 1
