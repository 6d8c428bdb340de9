#!lua flags=allow-oom
-- Removes entries that expired.
-- KEYS: as in queue.lua
-- ARGV: 1 now (ms); 2 how many at most
-- Answer: how many there were
return purge(ARGV[1], ARGV[2])
