#!lua flags=allow-oom
-- Ends the move of messages that are in the cold tier now: what is still here leaves the queue, the
-- rest was withdrawn meanwhile. What was claimed and not copied stays claimed.
-- KEYS: as in queue.lua; 8 the lease
-- ARGV: 1 number of the lease; 2 now (ms); 3 how long ids are remembered (ms); 4 prefix of keys of
--   remembered ids; then of each message, the oldest first: the entry that its id names if the
--   store chose it, or ''; the id
-- Answer: {0} if the lease is lost, else {1, moved, withdrawn: entry, tag, ...}
if redis.call('GET', KEYS[8]) ~= ARGV[1] then return {0} end
local memory = {now = ARGV[2], window = ARGV[3], prefix = ARGV[4]}
local moving = redis.call('HGETALL', MOVING)
local claimed, by_id = {}, {}
for i = 1, #moving, 2 do
  claimed[moving[i]] = moving[i + 1]
  if string.sub(moving[i + 1], 1, 1) == 'c' then
    by_id[string.sub(moving[i + 1], 2)] = moving[i]
  end
end

local moved, withdrawn, last = 0, {}, nil
local function settle(sid)
  local tag = sid and claimed[sid]
  if not tag then return end
  claimed[sid] = nil
  local entry = read_entry(sid)
  if entry then
    if entry.id then remember(entry, memory) end
    take_out(entry)
    redis.call('HDEL', MOVING, sid)
    moved, last = moved + 1, sid
  else
    redis.call('HSET', TIERS, 'w:' .. sid, 'n' .. tag)
    withdrawn[#withdrawn + 1] = sid
    withdrawn[#withdrawn + 1] = tag
  end
end

for i = 5, #ARGV, 2 do
  local tag = claimed[ARGV[i]]
  if tag and string.sub(tag, 1, 1) == 's' then settle(ARGV[i]) else settle(by_id[ARGV[i + 1]]) end
end
-- A read that began before the copies were made must not report the cold tier as empty now.
if moved > 0 then redis.call('HSET', TIERS, 'mark', fresh_mark(), 'moved', last) end
if redis.call('HLEN', MOVING) == 1 then redis.call('DEL', MOVING) end
return {1, moved, withdrawn}
