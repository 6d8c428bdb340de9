#!lua flags=allow-oom
-- Brings the due index up to date for one connection: its score becomes the moment at which the
-- oldest message was accepted. A queue that has been empty for long is forgotten; not earlier, so
-- that new positions stay behind old ones even if the clocks of two Redis servers differ.
-- KEYS: as in queue.lua; 8 the due index; 9 queues set aside: HASH of member -> "entry until"
-- ARGV: 1 now (ms); 2 member of the due index; 3 how long a queue has to be empty (ms)
-- Answer: {since when there is something to do (ms) or '', expired entries}: when the oldest
--   message was accepted, or an unfinished batch was claimed, or when a withdrawn ghost has had its
--   time (which may be to come); '' too if the queue is set aside
local function score(at)
  redis.call('ZADD', KEYS[8], 'XX', at, ARGV[2])
end

local claimed = redis.call('HGET', MOVING, 'lease')
claimed = claimed and tonumber(string.match(claimed, '%d+$')) or math.huge

-- When the queue was last added to, by Redis' clock; nothing: it is not there.
local function newest_time()
  if redis.call('EXISTS', QUEUE) == 0 then return nil end
  local info = redis.call('XINFO', 'STREAM', QUEUE)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return tonumber(string.match(info[i + 1], '^%d+')) end
  end
end

local function forget()
  redis.call('DEL', QUEUE, COUNTER, EXPIRIES, IDS)
  redis.call('ZREM', KEYS[8], ARGV[2])
  -- A mark has to outlive every read that saw the queue without one: else what was archived since
  -- that read could be taken for nothing.
  local mark = redis.call('HGET', TIERS, 'mark')
  if mark and mark ~= '0' then
    redis.call('PEXPIRE', TIERS, GHOST_LIFE)
  else
    redis.call('DEL', TIERS)
  end
end

-- When the first withdrawn ghost may be named by claim() for the last time; nothing: there is none.
local function first_ghost()
  local first
  local noted = redis.call('HGETALL', TIERS)
  for i = 1, #noted, 2 do
    if string.sub(noted[i], 1, 2) == 'g:' then
      local deadline = tonumber(string.match(noted[i + 1], '^%d+'))
      first = math.min(first or deadline, deadline)
    end
  end
  return first
end

local items = redis.call('XRANGE', QUEUE, '-', '+', 'COUNT', 1)
if not items[1] then
  redis.call('HDEL', KEYS[9], ARGV[2])
  if claimed < math.huge then
    score(string.format('%.0f', claimed))
    return {string.format('%.0f', claimed), 0}
  end
  -- A copy that a paused archiver wrote has to be erased before the queue is forgotten.
  local ghost = first_ghost()
  if ghost then
    score(string.format('%.0f', ghost))
    return {string.format('%.0f', ghost), 0}
  end
  local newest = newest_time()
  local idle = not newest or time_ms() - newest >= tonumber(ARGV[3])
  if idle and redis.call('EXISTS', GHOSTS) == 0 then forget() else score(ARGV[1]) end
  return {'', 0}
end

local entry = entry_of(items[1])
local since = string.format('%.0f', math.min(entry.accepted, claimed))
score(since)
local expired = count_expired(ARGV[1])
local aside = redis.call('HGET', KEYS[9], ARGV[2])
if aside then
  local sid, again = string.match(aside, '^(%S+) (%S+)$')
  if sid == entry.sid and tonumber(ARGV[1]) < tonumber(again) then return {'', expired} end
  redis.call('HDEL', KEYS[9], ARGV[2])
end
return {since, expired}
