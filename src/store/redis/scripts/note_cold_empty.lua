-- The cold tier was found empty after a read that saw this mark. A connection that has no mark yet
-- gets one; the next finding is believed. (Believing the first would be wrong if everything was
-- archived, and the mark forgotten with the queue, since that read.)
-- KEYS: as in queue.lua
-- ARGV: 1 the mark that was seen, or ''
-- Answer: 1 if later views say that the cold tier is empty
local mark = redis.call('HGET', TIERS, 'mark')
if not mark then
  redis.call('HSET', TIERS, 'mark', fresh_mark())
  return 0
end
if mark ~= ARGV[1] or redis.call('EXISTS', MOVING) == 1 then return 0 end
redis.call('HSET', TIERS, 'mark', '0')
return 1
