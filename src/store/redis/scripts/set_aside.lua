#!lua flags=allow-oom
-- The head of a queue cannot be archived: leaves the queue alone until that message is gone or a
-- moment has come.
-- KEYS: as in queue.lua; 8 the lease; 9 queues set aside: HASH of member -> "entry until"
-- ARGV: 1 number of the lease; 2 member of the due index; 3 until when (ms)
-- Answer: 1, or 0 if the lease is lost
if redis.call('GET', KEYS[8]) ~= ARGV[1] then return 0 end
local first = first_sid()
if first ~= '' then redis.call('HSET', KEYS[9], ARGV[2], first .. ' ' .. ARGV[3]) end
return 1
