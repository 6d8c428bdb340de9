#!lua flags=allow-oom
-- Removes messages by id, wherever they are in the queue, and withdraws those that are being moved.
-- KEYS: as in queue.lua
-- ARGV: 1 now (ms); 2 idempotency window (ms); 3 prefix of the keys of remembered ids; then of each
--   message: the entry that its id names if the store chose it, or ''; payload bytes; the id
-- Answer: {a text with one mark for each message: 0 not here, 1 removed, 2 removed, and its id was
--   a caller's, 3 not here, and it had expired when it was taken out; the entries of the callers'
--   ids; remaining messages; first entry or ''; tier state before; expired entries}
local tiers = redis.call('HGETALL', TIERS)
local memory = {now = ARGV[1], window = ARGV[2], prefix = ARGV[3]}
local plain = redis.call('EXISTS', MOVING, GHOSTS, EXPIRIES, IDS) == 0
local now = tonumber(ARGV[1])
local marks, named, freed = {}, {}, 0

local function remove_entry(entry)
  if not entry or (entry.expires and entry.expires <= now) then return false end
  drop(entry, memory)
  return true
end

-- A caller may have chosen an id that looks like one of the store.
local function remove_by_id(id)
  local known = redis.call('HGET', IDS, id)
  if known then
    local sid = string.match(known, '^%S+')
    if not remove_entry(read_entry(sid)) then return '0' end
    named[#named + 1] = sid
    return '2'
  end
  known = redis.call('GET', memory.prefix .. id)
  if known then
    -- Of an archived message: removed now, if it had not been before.
    local sid, received, known_until = string.match(known, '^(%S+) (%S+) (%S+)$')
    if tonumber(known_until) > now + memory.window then
      remember_as(id, sid, received, now, memory.window, memory.prefix)
    end
    withdraw(sid)
  end
  return '0'
end

for i = 4, #ARGV, 3 do
  local sid, mark = ARGV[i], '0'
  if sid ~= '' and plain then
    if redis.call('XDEL', QUEUE, sid) == 1 then
      freed, mark = freed + ONE + ARGV[i + 1], '1'
    end
  elseif sid ~= '' then
    withdraw(sid)
    local entry = read_entry(sid)
    if entry then
      if not entry.id and remove_entry(entry) then mark = '1' end
    else
      -- Taken out by a plain removal, which does not know of expiries.
      local expires = redis.call('ZSCORE', EXPIRIES, sid)
      if expires then
        redis.call('ZREM', EXPIRIES, sid)
        if tonumber(expires) <= now then mark = '3' end
      end
    end
  end
  if mark == '0' and not (sid ~= '' and plain) then mark = remove_by_id(ARGV[i + 2]) end
  marks[#marks + 1] = mark
end
if freed > 0 then redis.call('INCRBY', COUNTER, string.format('%.0f', -freed)) end

local expired = plain and 0 or count_expired(ARGV[1])
local remaining = redis.call('XLEN', QUEUE) - expired
return {table.concat(marks), named, remaining, first_sid(), tiers, expired}
