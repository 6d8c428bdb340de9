#!lua flags=allow-oom
-- Puts the record of a live session back, or lets it last longer, unless a newer one stands there.
-- KEYS[1]  STRING: the session record of the connection
-- ARGV[1]  the record, "1 <epoch> ..."
-- ARGV[2]  its epoch
-- ARGV[3]  seconds that it lasts
-- Answer   {1, the record that stood there or nil}: the given one stands now;
--          {0, the newer one that stands there}
local there = redis.call('GET', KEYS[1])
if there then
  local epoch = tonumber(string.match(there, '^1 (%d+) '))
  -- Microseconds since 1970 are exact as a double.
  if epoch and epoch > tonumber(ARGV[2]) then return {0, there} end
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
return {1, there}
