#!lua flags=allow-oom
-- Removes the record of a live session if it is still the one with this epoch.
-- KEYS[1]  STRING: the session record of the connection
-- ARGV[1]  what a record with the epoch begins with
-- Answer   1 if it was removed
local record = redis.call('GET', KEYS[1])
if record and string.sub(record, 1, #ARGV[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
