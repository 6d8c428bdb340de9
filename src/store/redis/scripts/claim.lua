-- Starts the move of the queue's head into the cold tier. From here on the removal of what was
-- claimed is noted. A batch that is unfinished belongs to the claim; if an earlier lease claimed it,
-- its holder may still write copies, so that its removals stay known for longer (ghosts).
-- KEYS: as in queue.lua; 8 the lease
-- ARGV: 1 number of the lease; 2 accepted at or before (ms); 3 messages at most; 4 payload bytes at
--   most, about; 5 now (ms)
-- Answer: {0} if the lease is lost, else {1, items as XRANGE has them, withdrawn: entry, tag, ...}
if redis.call('GET', KEYS[8]) ~= ARGV[1] then return {0} end
local untl, most, most_bytes, now = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]),
  tonumber(ARGV[5])

local moving = redis.call('HGETALL', MOVING)
local claimed, lease = {}, ARGV[1]
for i = 1, #moving, 2 do
  if moving[i] == 'lease' then lease = moving[i + 1] else claimed[moving[i]] = moving[i + 1] end
end
local adopted = next(claimed) ~= nil and lease ~= ARGV[1]
if adopted then
  for sid, tag in pairs(claimed) do redis.call('HSET', GHOSTS, sid, tag) end
  redis.call('PEXPIRE', GHOSTS, GHOST_LIFE)
end

-- Old ghosts are laid on the way.
local noted = redis.call('HGETALL', TIERS)
local withdrawn_as = {}
for i = 1, #noted, 2 do
  local field, value = noted[i], noted[i + 1]
  if string.sub(field, 1, 2) == 'g:' then
    local deadline, tag = string.match(value, '^(%d+):(.*)$')
    if tonumber(deadline) <= time_ms() then
      redis.call('HDEL', TIERS, field)
    else
      withdrawn_as[tag] = withdrawn_as[tag] or {}
      table.insert(withdrawn_as[tag], field)
    end
  end
end

-- What was claimed before and is gone was withdrawn.
local withdrawn = {}
for sid, tag in pairs(claimed) do
  if #redis.call('XRANGE', QUEUE, sid, sid) == 0 then
    redis.call('HSET', TIERS, 'w:' .. sid, 'n' .. tag)
    if redis.call('HEXISTS', GHOSTS, sid) == 1 then withdraw(sid) end
    withdrawn[#withdrawn + 1] = sid
    withdrawn[#withdrawn + 1] = tag
  end
end

local batch, from, ended = {}, '', false
while not ended and #batch < most do
  local step = math.min(32, most - #batch)
  local start = from == '' and '-' or '(' .. from
  local items = redis.call('XRANGE', QUEUE, start, '+', 'COUNT', step)
  for _, item in ipairs(items) do
    local entry = entry_of(item)
    local mine = claimed[entry.sid]
    if not mine and (entry.accepted > untl or (entry.expires and entry.expires <= now)) then
      ended = true
      break
    end
    if #batch > 0 and entry.size > most_bytes then
      ended = true
      break
    end
    most_bytes = most_bytes - entry.size
    batch[#batch + 1] = item
    from = entry.sid
    local tag = tag_of(entry)
    if not mine then redis.call('HSET', MOVING, entry.sid, tag) end
    -- A new message may bear the id of one that was withdrawn.
    for _, field in ipairs(entry.id and withdrawn_as[tag] or {}) do
      if field ~= 'g:' .. entry.sid then redis.call('HDEL', TIERS, field) end
    end
  end
  if #items < step then ended = true end
end

if #batch > 0 or #withdrawn > 0 then
  redis.call('HSET', MOVING, 'lease', ARGV[1])
  redis.call('HSET', TIERS, 'mark', fresh_mark())
end
return {1, batch, withdrawn}
