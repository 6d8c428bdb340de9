#!lua flags=allow-oom
-- Starts the move of the queue's head into the cold tier. From here on the removal of what was
-- claimed is noted. A batch that is unfinished belongs to the claim; if an earlier lease claimed
-- it, its holder may still write copies, so that its removals stay known for longer (ghosts).
-- KEYS: as in queue.lua; 8 the lease
-- ARGV: 1 number of the lease; 2 accepted at or before (ms); 3 messages at most; 4 payload bytes at
--   most, about; 5 now (ms)
-- Answer: {0} if the lease is lost, else {1, items as XRANGE has them, withdrawn: entry, tag, ...}
if redis.call('GET', KEYS[8]) ~= ARGV[1] then return {0} end
local most, most_bytes, now = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

local moving = redis.call('HGETALL', MOVING)
local claimed, lease = {}, ARGV[1]
for i = 1, #moving, 2 do
  if moving[i] == 'lease' then
    lease = string.match(moving[i + 1], '^%d+')
  else
    claimed[moving[i]] = moving[i + 1]
  end
end
local adopted = next(claimed) ~= nil and lease ~= ARGV[1]
if adopted then
  for sid, tag in pairs(claimed) do redis.call('HSET', GHOSTS, sid, tag) end
  redis.call('PEXPIRE', GHOSTS, GHOST_LIFE)
end

-- What was claimed before and is gone was withdrawn.
local withdrawn, withdrawn_now, ghost_fields = {}, {}, {}
for sid, tag in pairs(claimed) do
  if #redis.call('XRANGE', QUEUE, sid, sid) == 0 then
    redis.call('HSET', TIERS, 'w:' .. sid, 'n' .. tag)
    withdraw(sid)
    withdrawn_now[tag] = true
    withdrawn[#withdrawn + 1] = sid
    withdrawn[#withdrawn + 1] = tag
  end
end

-- So were the ghosts: late copies of them go as well. The old ones are named for the last time.
local noted = redis.call('HGETALL', TIERS)
for i = 1, #noted, 2 do
  local field, value = noted[i], noted[i + 1]
  if string.sub(field, 1, 2) == 'g:' then
    local deadline, tag = string.match(value, '^(%d+):(.*)$')
    if not claimed[string.sub(field, 3)] then
      withdrawn[#withdrawn + 1] = string.sub(field, 3)
      withdrawn[#withdrawn + 1] = tag
    end
    ghost_fields[tag] = ghost_fields[tag] or {}
    table.insert(ghost_fields[tag], field)
    if tonumber(deadline) <= time_ms() then redis.call('HDEL', TIERS, field) end
  end
end

local batch, from, ended, untl = {}, '', false, tonumber(ARGV[2])
local function claim(entry)
  local mine, tag = claimed[entry.sid], tag_of(entry)
  if not mine then
    local full = #batch >= most or (#batch > 0 and entry.size > most_bytes)
    local expired = entry.expires and entry.expires <= now
    -- A copy that has to go must not be taken for one of a new message with the same id.
    if full or expired or entry.accepted > untl or withdrawn_now[tag] then return false end
  end
  most_bytes = most_bytes - entry.size
  batch[#batch + 1] = entry.item
  if not mine then
    redis.call('HSET', MOVING, entry.sid, tag)
    -- A new message may bear the id of a ghost, which must not hide it.
    for _, field in ipairs(entry.id and ghost_fields[tag] or {}) do
      redis.call('HDEL', TIERS, field)
    end
  end
  return true
end

while not ended do
  local start = from == '' and '-' or '(' .. from
  local items = redis.call('XRANGE', QUEUE, start, '+', 'COUNT', 32)
  for _, item in ipairs(items) do
    if not claim(entry_of(item)) then
      ended = true
      break
    end
    from = item[1]
  end
  if #items < 32 then ended = true end
end

if #batch > 0 or next(claimed) then
  redis.call('HSET', MOVING, 'lease', ARGV[1] .. ' ' .. ARGV[5])
  redis.call('HSET', TIERS, 'mark', fresh_mark())
  redis.call('PERSIST', TIERS)
end
return {1, batch, withdrawn}
