#!lua flags=allow-oom
-- A gateway leaves. For a while the others find it among the departed.
-- KEYS[1]  ZSET of gateways, as heartbeat.lua keeps it
-- ARGV[1]  the gateway
-- Answer   1 if it was present
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local present = redis.call('ZREM', KEYS[1], '+' .. ARGV[1])
redis.call('ZADD', KEYS[1], now, '-' .. ARGV[1])
return present
