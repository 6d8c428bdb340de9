#!lua flags=allow-oom
-- Writes the record of a live session over what is there.
-- KEYS[1]  STRING: the session record of the connection
-- ARGV[1]  the record; ARGV[2] seconds that it lasts
-- Answer   the record that stood there, or nil
return redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2], 'GET')
