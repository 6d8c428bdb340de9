#!lua flags=allow-oom
-- The cold tier was found empty after a read that saw this mark: later views say so, unless
-- something was claimed since.
-- KEYS: as in queue.lua
-- ARGV: 1 the mark that was seen, '' if there was none
-- Answer: 1 if it is noted
if (redis.call('HGET', TIERS, 'mark') or '') ~= ARGV[1] then return 0 end
if redis.call('EXISTS', MOVING) == 1 then return 0 end
redis.call('HSET', TIERS, 'mark', '0')
-- Not for ever: connections that somebody only asked about leave nothing behind, and a database that
-- was filled by other means is looked into again.
if redis.call('EXISTS', GHOSTS) == 0 then redis.call('PEXPIRE', TIERS, GHOST_LIFE) end
return 1
