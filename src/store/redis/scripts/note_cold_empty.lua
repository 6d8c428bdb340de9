-- The cold tier was found empty after a read that saw this mark: later views say so, unless
-- something was claimed since.
-- KEYS: as in queue.lua
-- ARGV: 1 the mark that was seen, '' if there was none
-- Answer: 1 if it is noted
if (redis.call('HGET', TIERS, 'mark') or '') ~= ARGV[1] then return 0 end
if redis.call('EXISTS', MOVING) == 1 then return 0 end
redis.call('HSET', TIERS, 'mark', '0')
return 1
