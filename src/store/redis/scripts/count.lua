-- Counts pending messages, leaving some out.
-- KEYS: as in queue.lua
-- ARGV: 1 now (ms); 2... entries to leave out, each at most once
-- Answer: {count, first entry or '', tier state, expired entries}
local expired = count_expired(ARGV[1])
local count = redis.call('XLEN', QUEUE) - expired
local now = tonumber(ARGV[1])
for i = 2, #ARGV do
  local entry = read_entry(ARGV[i])
  if entry and not (entry.expires and entry.expires <= now) then count = count - 1 end
end
return {count, first_sid(), redis.call('HGETALL', TIERS), expired}
