#!lua flags=allow-oom
-- A gateway says that it is alive, takes away those that it found dead, and hears who else is there.
-- It works when the memory is full: otherwise all gateways would look dead then.
-- KEYS[1]  ZSET of gateways: "+<gateway>" with the time of its last heartbeat, "-<gateway>" with the
--          time at which it left or was found dead; milliseconds of this server's clock
-- ARGV[1]  this gateway
-- ARGV[2]  how many milliseconds the departed are kept
-- ARGV[3], ARGV[4] and on: a gateway that was found dead, and its heartbeat: it is taken away
--          unless it has beaten since
-- Answer   {the clock in microseconds, 1 if this gateway was present before,
--           {gateway with its sign, its time, its age in milliseconds}...}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function text(number) return string.format('%.0f', number) end

local known = redis.call('ZSCORE', KEYS[1], '+' .. ARGV[1])
redis.call('ZADD', KEYS[1], text(now), '+' .. ARGV[1])
redis.call('ZREM', KEYS[1], '-' .. ARGV[1])
for i = 3, #ARGV, 2 do
  local beat = redis.call('ZSCORE', KEYS[1], '+' .. ARGV[i])
  if beat and tonumber(beat) == tonumber(ARGV[i + 1]) then
    redis.call('ZREM', KEYS[1], '+' .. ARGV[i])
    redis.call('ZADD', KEYS[1], text(now), '-' .. ARGV[i])
  end
end

local answer = {time[1] .. string.format('%06d', time[2]), known and 1 or 0}
local entries = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 1, #entries, 2 do
  local age = now - tonumber(entries[i + 1])
  if string.sub(entries[i], 1, 1) == '-' and age > tonumber(ARGV[2]) then
    redis.call('ZREM', KEYS[1], entries[i])
  else
    answer[#answer + 1] = {entries[i], text(entries[i + 1]), text(age)}
  end
end
return answer
