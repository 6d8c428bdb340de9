-- Sums up a stretch of the queue.
-- KEYS: as in queue.lua
-- ARGV: 1 now (ms); 2 the entry to begin behind, or ''; 3 how many to look at; 4 '1' if a recipient
--   is asked for; 5 that recipient; 6... entries to leave out
-- Answer: {count, bytes, oldest received_at or '', newest received_at or '', the last entry looked
--   at or '', '1' if the queue ends there, first entry of the queue or '', tier state, expired}
local now = tonumber(ARGV[1])
local excluded = {}
for i = 6, #ARGV do excluded[ARGV[i]] = true end
local from, look = ARGV[2], tonumber(ARGV[3])
local count, bytes, oldest, newest, ended = 0, 0, nil, nil, '0'

while look > 0 and ended == '0' do
  local step = math.min(64, look)
  local start = from == '' and '-' or '(' .. from
  local items = redis.call('XRANGE', QUEUE, start, '+', 'COUNT', step)
  for _, item in ipairs(items) do
    local entry = entry_of(item)
    from = entry.sid
    local expired = entry.expires and entry.expires <= now
    if not expired and not excluded[entry.sid] and
       (ARGV[4] ~= '1' or is_for(entry, ARGV[5])) then
      local received = tonumber(entry.received)
      count, bytes = count + 1, bytes + entry.size
      if not oldest or received < oldest then oldest = received end
      if not newest or received > newest then newest = received end
    end
  end
  look = look - step
  if #items < step then ended = '1' end
end
return {count, bytes, oldest or '', newest or '', from, ended, first_sid(),
        redis.call('HGETALL', TIERS), count_expired(ARGV[1])}
