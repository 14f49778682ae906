-- For each list of turns how many there are, the first and the last.
local answers = {}
for i, turns in ipairs(KEYS) do
  answers[i] = {redis.call('LLEN', turns), redis.call('LINDEX', turns, 0), redis.call('LINDEX', turns, -1)}
end
return answers
