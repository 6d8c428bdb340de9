-- Which of some messages are in the queue.
-- KEYS: as in queue.lua
-- ARGV: 1 now (ms); then of each message: the entry that its id names if the store chose it, or '';
--   the id
-- Answer: a text with 1 for each that is there and 0 for each other
local now, marks = tonumber(ARGV[1]), {}
for i = 2, #ARGV, 2 do
  local entry = ARGV[i] ~= '' and read_entry(ARGV[i])
  if not entry or entry.id then
    local known = redis.call('HGET', IDS, ARGV[i + 1])
    entry = known and read_entry(string.match(known, '^%S+'))
  end
  local there = entry and not (entry.expires and entry.expires <= now)
  marks[#marks + 1] = there and '1' or '0'
end
return table.concat(marks)
