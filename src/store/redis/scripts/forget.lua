#!lua flags=allow-oom
-- The copies of what was named as withdrawn have left the cold tier.
-- KEYS: as in queue.lua; 8 the lease
-- ARGV: 1 number of the lease
-- Answer: 1, or 0 if the lease is lost
if redis.call('GET', KEYS[8]) ~= ARGV[1] then return 0 end
local noted = redis.call('HGETALL', TIERS)
for i = 1, #noted, 2 do
  local field, value = noted[i], noted[i + 1]
  if string.sub(field, 1, 2) == 'w:' and string.sub(value, 1, 1) == 'n' then
    redis.call('HDEL', MOVING, string.sub(field, 3))
    redis.call('HDEL', TIERS, field)
  end
end
if redis.call('HLEN', MOVING) == 1 then redis.call('DEL', MOVING) end
if redis.call('EXISTS', GHOSTS) == 1 then redis.call('PEXPIRE', GHOSTS, GHOST_LIFE) end
return 1
