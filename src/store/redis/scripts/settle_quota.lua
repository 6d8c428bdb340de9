-- A plain add found the queue over its quota: takes the message back if that is so, and corrects
-- the counter, which an add that broke off may have left wrong.
-- KEYS: as in queue.lua
-- ARGV: 1 now (ms); 2 most messages; 3 most bytes; 4 the entry that was added
-- Answer: {kind, purged}, kind 0 it may stay (or was taken already), 2 too many messages,
--   3 too many bytes: it is gone
local purged = 0
repeat
  local some = purge(ARGV[1], 100)
  purged = purged + some
until some == 0

-- An add or removal that broke off shows in the number of messages. Long queues keep their sum of
-- bytes until they are forgotten: reading them takes too long for a refused add.
local length = redis.call('XLEN', QUEUE)
local counted = tonumber(redis.call('GET', COUNTER)) or 0
if math.floor(counted / ONE) ~= length then
  local bytes = counted % ONE
  if length <= 1000 then
    bytes = 0
    for _, item in ipairs(redis.call('XRANGE', QUEUE, '-', '+')) do bytes = bytes + #item[2][4] end
  end
  counted = length * ONE + bytes
  redis.call('SET', COUNTER, string.format('%.0f', counted))
end

local entry = read_entry(ARGV[4])
if not entry then return {0, purged} end
if length > tonumber(ARGV[2]) then
  drop(entry, nil)
  return {2, purged}
end
if counted % ONE > tonumber(ARGV[3]) then
  drop(entry, nil)
  return {3, purged}
end
return {0, purged}
