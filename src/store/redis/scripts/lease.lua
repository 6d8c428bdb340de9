#!lua flags=allow-oom
-- Takes or renews the lease of a partition.
-- KEYS: 1 the lease: STRING of its number, until it expires; 2 the number of the newest lease
-- ARGV: 1 the number held, or '0'; 2 duration (ms)
-- Answer: the number of the lease, or 0 if another gateway has it
local current = redis.call('GET', KEYS[1])
if current then
  if current ~= ARGV[1] then return 0 end
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return tonumber(current)
end
local number
if ARGV[1] == '0' then
  number = redis.call('INCR', KEYS[2])
elseif redis.call('GET', KEYS[2]) == ARGV[1] then
  number = ARGV[1]  -- it ran out, and nobody else took it
else
  return 0
end
redis.call('SET', KEYS[1], number, 'PX', ARGV[2])
return tonumber(number)
