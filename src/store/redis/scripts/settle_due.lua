-- Brings the due index up to date for one connection: its score becomes the moment at which the
-- oldest message was accepted. A queue that has been empty for long is forgotten; not earlier, so
-- that new positions stay behind old ones even if the clocks of two Redis servers differ.
-- KEYS: as in queue.lua; 8 the due index; 9 queues set aside: HASH of member -> "entry until"
-- ARGV: 1 now (ms); 2 member of the due index; 3 how long a queue has to be empty (ms)
-- Answer: {when the oldest message was accepted (ms) or '', expired entries}; '' too if the queue
--   is set aside; 0 if it is empty and an unfinished batch has to be cleaned up
local function score(at)
  redis.call('ZADD', KEYS[8], 'XX', at, ARGV[2])
end

local items = redis.call('XRANGE', QUEUE, '-', '+', 'COUNT', 1)
if not items[1] then
  redis.call('HDEL', KEYS[9], ARGV[2])
  if redis.call('EXISTS', MOVING) == 1 then return {'0', 0} end
  local idle = math.huge
  if redis.call('EXISTS', QUEUE) == 1 then
    local info = redis.call('XINFO', 'STREAM', QUEUE)
    for i = 1, #info, 2 do
      if info[i] == 'last-generated-id' then
        idle = time_ms() - string.match(info[i + 1], '^%d+')
      end
    end
  end
  if idle >= tonumber(ARGV[3]) and redis.call('EXISTS', GHOSTS) == 0 then
    redis.call('DEL', QUEUE, COUNTER, TIERS, EXPIRIES, IDS)
    redis.call('ZREM', KEYS[8], ARGV[2])
  else
    score(ARGV[1])
  end
  return {'', 0}
end

local entry = entry_of(items[1])
score(string.format('%.0f', entry.accepted))
local aside = redis.call('HGET', KEYS[9], ARGV[2])
if aside then
  local sid, again = string.match(aside, '^(%S+) (%S+)$')
  if sid == entry.sid and tonumber(ARGV[1]) < tonumber(again) then
    return {'', count_expired(ARGV[1])}
  end
  redis.call('HDEL', KEYS[9], ARGV[2])
end
return {string.format('%.0f', entry.accepted), count_expired(ARGV[1])}
