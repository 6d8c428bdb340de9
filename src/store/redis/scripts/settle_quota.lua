#!lua flags=allow-oom
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

local counted = settled_counter()
local entry = read_entry(ARGV[4])
if not entry then return {0, purged} end
if redis.call('XLEN', QUEUE) > tonumber(ARGV[2]) then
  drop(entry, nil)
  return {2, purged}
end
if counted % ONE > tonumber(ARGV[3]) then
  drop(entry, nil)
  return {3, purged}
end
return {0, purged}
