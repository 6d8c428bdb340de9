#!lua flags=allow-oom
-- The window whose end was planned is over: whether the push is still due.
-- KEYS: 1 the token's window (see push_message.lua)
-- ARGV: 1 length of a window (ms); 2 how little a window that is over may still run on this clock (ms)
-- Answer: -1 push now, a window has begun; 0 somebody has pushed since
if redis.call('PTTL', KEYS[1]) > tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[1], '0', 'PX', ARGV[1])
return -1
