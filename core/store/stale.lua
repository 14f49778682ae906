-- Takes over entries that nobody attended to, and makes the group where there is none, from the stream's first entry
-- on: what was accepted before is not passed over. KEYS: streams; ARGV: idle, count, whether a lease says who has an
-- entry, then a cursor for each stream. Answers for each stream {next cursor, entries}. A server looks at ten times
-- `count` entries in one go.
local idle, count, leased = ARGV[1], ARGV[2], ARGV[3] == '1'
local answers = {}
for i, stream in ipairs(KEYS) do
  local found = redis.pcall('XAUTOCLAIM', stream, 'workers', 'worker', idle, ARGV[i + 3], 'COUNT', count)
  if found.err then
    redis.call('XGROUP', 'CREATE', stream, 'workers', '0', 'MKSTREAM')
    found = {'0-0', {}}
  elseif leased then
    -- An entry that was read at a time to come, by a clock that was set back, would never be idle.
    for _, pending in ipairs(redis.call('XPENDING', stream, 'workers', '-', '+', count)) do
      if pending[3] == 0 then
        for _, entry in ipairs(redis.call('XCLAIM', stream, 'workers', 'worker', 0, pending[1])) do
          table.insert(found[2], entry)
        end
      end
    end
  end
  answers[i] = {found[1], found[2]}
end
return answers
