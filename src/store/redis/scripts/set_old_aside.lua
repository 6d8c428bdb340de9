#!lua flags=allow-oom
-- Moves the head of a list to the end of another one, if it is what the caller read.
-- KEYS: 1 the list; 2 the other one, in the same slot
-- ARGV: 1 the element
-- Answer: 1 if it was moved
if redis.call('LINDEX', KEYS[1], 0) ~= ARGV[1] then return 0 end
redis.call('RPUSH', KEYS[2], ARGV[1])
redis.call('LPOP', KEYS[1])
return 1
