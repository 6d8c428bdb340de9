-- Reads pending messages in order under the limits of a take.
-- KEYS: as in queue.lua
-- ARGV: 1 now (ms); 2 the entry to begin behind, or ''; 3 messages at most; 4 payload bytes at
--   most; 5 '1' if the first message has been selected already, so that the bytes bound every one;
--   6 '1' if a recipient is asked for; 7 that recipient; 8 entries to look at, at most; 9 bytes to
--   answer, about; 10... entries to leave out
-- Answer: {items as XRANGE has them, the last entry looked at or '', '1' if all is done,
--   the first entry that was there behind ARGV[2] or '', tier state, expired entries}
local now = tonumber(ARGV[1])
local from = ARGV[2]
local messages, bytes, any = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1'
local look, answer_bytes = tonumber(ARGV[8]), tonumber(ARGV[9])
local excluded = {}
for i = 10, #ARGV do excluded[ARGV[i]] = true end

local selected, first, done = {}, '', '0'

local function visit(entry)
  if entry.expires and entry.expires <= now then return end
  if excluded[entry.sid] or (ARGV[6] == '1' and not is_for(entry, ARGV[7])) then return end
  if any and entry.size > bytes then
    done = '1'
    return
  end
  any = true
  bytes = math.max(bytes - entry.size, 0)
  messages = messages - 1
  answer_bytes = answer_bytes - entry.size
  selected[#selected + 1] = entry.item
  if messages == 0 then done = '1' end
end

while done == '0' and look > 0 and answer_bytes > 0 do
  local step = math.min(16, look)
  local start = from == '' and '-' or '(' .. from
  local items = redis.call('XRANGE', QUEUE, start, '+', 'COUNT', step)
  if first == '' and items[1] then first = items[1][1] end
  for _, item in ipairs(items) do
    if done ~= '0' or answer_bytes <= 0 then break end
    visit(entry_of(item))
    if done == '0' then from = item[1] end
  end
  look = look - step
  if #items < step and answer_bytes > 0 then done = '1' end
end

return {selected, from, done, first, redis.call('HGETALL', TIERS), count_expired(ARGV[1])}
