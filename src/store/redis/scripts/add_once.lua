-- Adds a message that has an id of its caller, or expires, or whose first attempt ended without an
-- answer.
-- KEYS: as in queue.lua; 8 the partition's index of due queues; 9 the session record
-- ARGV: 1 now (ms); 2 member of the due index; 3 most messages; 4 most bytes; 5 prefix of the keys
--   of remembered ids; 6 the caller's id or ''; 7 the entry that such an id would name if the store
--   had chosen it, or ''; 8 the nonce of an earlier attempt or ''; 9 description; 10 payload;
--   11 when it expires (ms) or ''; 12 received_at; 13 how long ago an earlier
--   attempt began at most (ms)
-- Answer: {kind, entry, received_at, previous entry or '', session record or false, purged}, kind
--   0 stored, 1 known already, 2 too many messages, 3 too many bytes
local now = tonumber(ARGV[1])
local purged = 0
repeat
  local some = purge(ARGV[1], 100)
  purged = purged + some
until some == 0

local function session()
  return redis.call('GET', KEYS[9])
end

-- What an earlier attempt left is among the newest, and not older than that attempt. (A second more,
-- because another server may have taken over, with another clock.)
local function find_attempt(nonce)
  local oldest, looked_at, from = time_ms() - ARGV[13] - 1000, 0, '+'
  while looked_at < 10000 do
    local items = redis.call('XREVRANGE', QUEUE, from, '-', 'COUNT', 128)
    for i, item in ipairs(items) do
      local entry = entry_of(item)
      if looked_at + i > 128 and string.match(item[1], '^%d+') + 0 < oldest then return nil end
      if entry.nonce == nonce then return entry end
      from = '(' .. item[1]
    end
    looked_at = looked_at + #items
    if #items < 128 then return nil end
  end
end

if ARGV[8] ~= '' then
  local entry = find_attempt(ARGV[8])
  if entry then
    redis.call('ZADD', KEYS[8], 'NX', ARGV[1], ARGV[2])
    local before = redis.call('XREVRANGE', QUEUE, '(' .. entry.sid, '-', 'COUNT', 1)
    local previous = before[1] and before[1][1] or ''
    return {0, entry.sid, entry.received, previous, session(), purged}
  end
end

local id = ARGV[6]
if id ~= '' then
  local known = redis.call('HGET', IDS, id)
  if known then
    local sid, received = string.match(known, '^(%S+) (%S+)$')
    return {1, sid, received, '', false, purged}
  end
  known = redis.call('GET', ARGV[5] .. id)
  if known then
    local sid, received, known_until = string.match(known, '^(%S+) (%S+) (%S+)$')
    if tonumber(known_until) > now then
      return {1, sid, received, '', false, purged}
    end
  end
  if ARGV[7] ~= '' then
    local twin = read_entry(ARGV[7])
    if twin and not twin.id then return {1, twin.sid, twin.received, '', false, purged} end
    -- No longer here: archived, acknowledged or expired. Its id says when it came.
    local came = string.match(ARGV[7], '^%d+')
    if not twin and tonumber(came) <= time_ms() then
      return {1, ARGV[7], came, '', false, purged}
    end
  end
end

local size = #ARGV[10]
if redis.call('XLEN', QUEUE) >= tonumber(ARGV[3]) then return {2, '', '', '', false, purged} end
local counted = tonumber(redis.call('GET', COUNTER)) or 0
if counted % ONE + size > tonumber(ARGV[4]) then counted = settled_counter() end
if counted % ONE + size > tonumber(ARGV[4]) then return {3, '', '', '', false, purged} end

local last = redis.call('XREVRANGE', QUEUE, '+', '-', 'COUNT', 1)
local sid = redis.call('XADD', QUEUE, '*', 'm', ARGV[9], 'p', ARGV[10])
redis.call('INCRBY', COUNTER, string.format('%.0f', ONE + size))
if id ~= '' then redis.call('HSET', IDS, id, sid .. ' ' .. ARGV[12]) end
if ARGV[11] ~= '' then redis.call('ZADD', EXPIRIES, ARGV[11], sid) end
redis.call('ZADD', KEYS[8], 'NX', ARGV[1], ARGV[2])
return {0, sid, ARGV[12], last[1] and last[1][1] or '', session(), purged}
