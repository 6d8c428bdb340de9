-- Reads pending messages in order under the limits of a take, and removes them if asked to.
-- KEYS: as in queue.lua
-- ARGV: 1 now (ms); 2 'keep' or 'remove'; 3 the entry to begin behind, or ''; 4 messages at most;
--   5 payload bytes at most; 6 '1' if the first message has been selected already, so that the
--   bytes bound every one; 7 '1' if a recipient is asked for; 8 that recipient; 9 entries to look
--   at, at most; 10 bytes to answer, about; 11 idempotency window (ms); 12 prefix of the keys of
--   remembered ids; 13... entries to leave out
-- Answer: {items as XRANGE has them, the last entry looked at or '', '1' if all is done,
--   the first entry that was there behind ARGV[3] or '', tier state before, expired entries}
local now = tonumber(ARGV[1])
local remove = ARGV[2] == 'remove'
local from = ARGV[3]
local messages, bytes, any = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == '1'
local look, answer_bytes = tonumber(ARGV[9]), tonumber(ARGV[10])
local memory = {now = ARGV[1], window = ARGV[11], prefix = ARGV[12]}
local excluded = {}
for i = 13, #ARGV do excluded[ARGV[i]] = true end

local tiers = redis.call('HGETALL', TIERS)
local selected, taken, first, done = {}, {}, '', '0'

local function visit(entry)
  if entry.expires and entry.expires <= now then return end
  if excluded[entry.sid] or (ARGV[7] == '1' and not is_for(entry, ARGV[8])) then return end
  if any and entry.size > bytes then
    done = '1'
    return
  end
  any = true
  bytes = math.max(bytes - entry.size, 0)
  messages = messages - 1
  answer_bytes = answer_bytes - entry.size
  selected[#selected + 1] = entry.item
  taken[#taken + 1] = entry
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

if remove then
  for _, entry in ipairs(taken) do drop(entry, memory) end
end
return {selected, from, done, first, tiers, count_expired(ARGV[1])}
