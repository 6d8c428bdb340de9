#!lua flags=allow-oom
-- Removes a stretch of the queue, or what it holds for one recipient.
-- KEYS: as in queue.lua
-- ARGV: 1 now (ms); 2 idempotency window (ms); 3 prefix of the keys of remembered ids; 4 the entry
--   to begin behind, or ''; 5 the last entry to look at, or '' for the newest; 6 how many to look
--   at; 7 '1' if a recipient is asked for; 8 that recipient
-- Answer: {removed entries, the last entry looked at, '1' if all is done, the last entry to look at
--   (for the next call), remaining messages, first entry or '', tier state before, expired}
local now = tonumber(ARGV[1])
local memory = {now = ARGV[1], window = ARGV[2], prefix = ARGV[3]}
local from, last, look = ARGV[4], ARGV[5], tonumber(ARGV[6])
local tiers, gone, done = redis.call('HGETALL', TIERS), {}, '0'

-- Without a recipient everything is meant, what has left for the cold tier too.
if ARGV[7] ~= '1' and from == '' then
  for _, key in ipairs({MOVING, GHOSTS}) do
    for _, sid in ipairs(redis.call('HKEYS', key)) do
      if sid ~= 'lease' then withdraw(sid) end
    end
  end
end
if last == '' then
  local newest = redis.call('XREVRANGE', QUEUE, '+', '-', 'COUNT', 1)
  last = newest[1] and newest[1][1] or '0-1'
end

-- Of a queue of which nothing else is kept many leave with one command.
local plain = redis.call('EXISTS', MOVING, GHOSTS, EXPIRIES, IDS) == 0
local function drop_all(entries)
  if #entries == 0 then return end
  local sids, freed = {}, 0
  for i, entry in ipairs(entries) do
    sids[i] = entry.sid
    freed = freed + ONE + entry.size
  end
  redis.call('XDEL', QUEUE, unpack(sids))
  redis.call('INCRBY', COUNTER, string.format('%.0f', -freed))
end

while look > 0 and done == '0' do
  local step = math.min(64, look)
  local start = from == '' and '-' or '(' .. from
  local items = redis.call('XRANGE', QUEUE, start, last, 'COUNT', step)
  local together = {}
  for _, item in ipairs(items) do
    local entry = entry_of(item)
    from = entry.sid
    local expired = entry.expires and entry.expires <= now
    if not expired and (ARGV[7] ~= '1' or is_for(entry, ARGV[8])) then
      if plain then together[#together + 1] = entry else drop(entry, memory) end
      gone[#gone + 1] = entry.sid
    end
  end
  drop_all(together)
  look = look - step
  if #items < step then done = '1' end
end
local expired = count_expired(ARGV[1])
return {gone, from, done, last, redis.call('XLEN', QUEUE) - expired, first_sid(), tiers, expired}
