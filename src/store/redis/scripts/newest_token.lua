-- The newest pending message that has a push token.
-- KEYS: as in queue.lua
-- ARGV: 1 now (ms); 2 how many of the newest to look at
-- Answer: {description of the message or false, first entry or '', tier state, expired entries}
local now = tonumber(ARGV[1])
local found = false
for _, item in ipairs(redis.call('XREVRANGE', QUEUE, '+', '-', 'COUNT', ARGV[2])) do
  local entry = entry_of(item)
  if entry.token and not (entry.expires and entry.expires <= now) then
    found = item[2][2]
    break
  end
end
return {found, first_sid(), redis.call('HGETALL', TIERS), count_expired(ARGV[1])}
