-- What the scripts of one connection's queue share; the store puts it in front of each of them.
--
-- KEYS of all of them:
--   1 the queue: STREAM of entries {m = description, p = payload}
--   2 the counter: messages * 2^40 + payload bytes, for quotas
--   3 tier state: HASH of mark, moved, w:<entry> (withdrawn), g:<entry> (withdrawn ghosts)
--   4 moving: HASH of entry -> tag, and lease -> "number claimed_at", while a batch is moved
--   5 ghosts: HASH of entry -> tag: batches of leases that were lost, whose holder may still write
--   6 expiries: ZSET of entry by the moment at which it expires
--   7 ids: HASH of a caller's id -> "entry received_at" while the message is here
-- A tag says how a message is called: s<payload bytes> (the store chose the id) or c<caller's id>.
local QUEUE, COUNTER, TIERS, MOVING, GHOSTS, EXPIRIES, IDS =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local ONE = 1099511627776  -- one message in the counter
local GHOST_LIFE = 600000  -- ms

-- An item of XRANGE, understood. stored_entry.hpp describes the text.
local function entry_of(item)
  local fields = item[2]
  local received, accepted, expires, nonce, id_size, token, project, dids, blobs = string.match(
    fields[2], '^1|(%-?%d+)|(%-?%d*)|(%-?%d*)|([^|]*)|(%d*)|%a*|(%d*)|(%d*)|([%d,]*)|()')
  if not received or fields[1] ~= 'm' or fields[3] ~= 'p' then
    error('an entry of the queue is not readable')
  end
  local entry = {
    sid = item[1], item = item, size = #fields[4], received = received, nonce = nonce,
    accepted = tonumber(accepted ~= '' and accepted or received),
    expires = expires ~= '' and tonumber(expires) or nil, dids = dids, token = token ~= '',
  }
  if id_size ~= '' then
    entry.id = string.sub(fields[2], blobs, blobs + id_size - 1)
  end
  entry.dids_at = blobs + (tonumber(id_size) or 0) + (tonumber(token) or 0) +
                  (tonumber(project) or 0)
  return entry
end

local function read_entry(sid)
  local items = redis.call('XRANGE', QUEUE, sid, sid)
  return items[1] and entry_of(items[1])
end

local function first_sid()
  local items = redis.call('XRANGE', QUEUE, '-', '+', 'COUNT', 1)
  return items[1] and items[1][1] or ''
end

local function is_for(entry, did)
  local at, text = entry.dids_at, entry.item[2][2]
  for size in string.gmatch(entry.dids, '%d+') do
    if string.sub(text, at, at + size - 1) == did then return true end
    at = at + size
  end
  return false
end

local function tag_of(entry)
  return entry.id and ('c' .. entry.id) or ('s' .. entry.size)
end

local function time_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Notes that an entry was removed by its owner while copies of it may be on their way.
local function withdraw(sid)
  local tag = redis.call('HGET', MOVING, sid)
  if tag then redis.call('HSETNX', TIERS, 'w:' .. sid, 'r' .. tag) end
  tag = redis.call('HGET', GHOSTS, sid)
  if tag then
    redis.call('HSET', TIERS, 'g:' .. sid, string.format('%.0f:', time_ms() + GHOST_LIFE) .. tag)
  end
end

-- Keeps a caller's id for a while after its message has left; the value says what the first add
-- was answered, and until when it is to be known by the gateways' clock.
local function remember_as(id, sid, received, now, window, prefix)
  redis.call('SET', prefix .. id,
             string.format('%s %s %.0f', sid, received, tonumber(now) + window), 'PX', window)
end

local function remember(entry, memory)
  remember_as(entry.id, entry.sid, entry.received, memory.now, memory.window, memory.prefix)
end

-- Takes an entry out of the queue and of all that refers to it.
local function take_out(entry)
  redis.call('XDEL', QUEUE, entry.sid)
  redis.call('INCRBY', COUNTER, string.format('%.0f', -(ONE + entry.size)))
  if entry.expires then redis.call('ZREM', EXPIRIES, entry.sid) end
  if entry.id then redis.call('HDEL', IDS, entry.id) end
end

-- Removes an entry on behalf of its owner.
local function drop(entry, memory)
  if entry.id and memory then remember(entry, memory) end
  withdraw(entry.sid)
  take_out(entry)
end

-- Removes up to `most` entries that expired; yields how many there were.
local function purge(now, most)
  local purged = 0
  for _, sid in ipairs(redis.call('ZRANGE', EXPIRIES, '-inf', now, 'BYSCORE', 'LIMIT', 0, most)) do
    local entry = read_entry(sid)
    if entry then
      drop(entry, nil)
      purged = purged + 1
    else
      redis.call('ZREM', EXPIRIES, sid)
    end
  end
  return purged
end

local function count_expired(now)
  return redis.call('ZCOUNT', EXPIRIES, '-inf', now)
end

-- A value that no earlier mark of this connection had.
local function fresh_mark()
  local time = redis.call('TIME')
  return time[1] .. '.' .. time[2]
end

-- The counter, corrected if it is wrong about the number of messages, which an add or a removal that
-- broke off may leave behind. Long queues keep their sum of bytes until they are forgotten: reading
-- them takes too long for a refused add.
local function settled_counter()
  local length = redis.call('XLEN', QUEUE)
  local counted = tonumber(redis.call('GET', COUNTER)) or 0
  if math.floor(counted / ONE) == length then return counted end
  local bytes = counted % ONE
  if length <= 1000 then
    bytes = 0
    for _, item in ipairs(redis.call('XRANGE', QUEUE, '-', '+')) do bytes = bytes + #item[2][4] end
  elseif bytes > ONE / 2 then
    bytes = 0  -- more was taken off than there was
  end
  counted = length * ONE + bytes
  redis.call('SET', COUNTER, string.format('%.0f', counted))
  return counted
end
