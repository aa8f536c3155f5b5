-- Take one of a client's requests in its window. ARGV: a token; the limit; the window in milliseconds. The value is the
-- number taken. Every answer begins with the token.
local left = redis.call('pttl', KEYS[1])
if left < 1 then -- none, or one that would never expire: a window begins, and its end with it
    redis.call('set', KEYS[1], 1, 'px', ARGV[3])
    return {ARGV[1], 'taken', 1, tonumber(ARGV[3])}
end
local taken = tonumber(redis.call('get', KEYS[1]))
if not taken then return {ARGV[1], 'unreadable'} end
if left > tonumber(ARGV[3]) then -- of a service that was configured with longer ones
    redis.call('pexpire', KEYS[1], ARGV[3])
    left = tonumber(ARGV[3])
end
if taken >= tonumber(ARGV[2]) then return {ARGV[1], 'used_up', taken, left} end
return {ARGV[1], 'taken', redis.call('incr', KEYS[1]), left}
