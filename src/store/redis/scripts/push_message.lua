#!lua flags=allow-oom
-- A message waits for an offline phone: whether its push is due now or at the end of a window.
-- KEYS: 1 the token's window: STRING '0', or '1' when a push at its end is planned; until it ends
-- ARGV: 1 length of a window (ms)
-- Answer: -1 push now, a window has begun; 0 another push covers it; else push in so many ms
local planned = redis.call('GET', KEYS[1])
if not planned then
  redis.call('SET', KEYS[1], '0', 'PX', ARGV[1])
  return -1
end
if planned == '1' then return 0 end
local left = redis.call('PTTL', KEYS[1])
redis.call('SET', KEYS[1], '1', 'PX', math.max(left, 1))
return math.max(left, 1)
