-- Claim. ARGV: the record in flight as attempt 1; its life in milliseconds; '1' to take an ended lease over.
-- Every answer begins with the claimer's token. All that reads comes before all that writes, so that a full or a
-- read-only server still tells of the records it has.
local token = string.sub(ARGV[1], 9, 24)
local value = redis.call('get', KEYS[1])
if not value then
    redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2])
    return {token, 'granted', 1}
end
local found = read(value)
if not found then return {token, 'unreadable'} end
if found.fingerprint ~= string.sub(ARGV[1], 25, 56) then return {token, 'mismatch'} end
if found.state == 'done' then return {token, 'completed', string.sub(value, 85)} end

-- The life counts down while the lease does, so the time that has passed is what is missing from the life.
local left = redis.call('pttl', KEYS[1])
if left < 0 then return {token, 'unreadable'} end
if found.token == token then
    redis.call('pexpire', KEYS[1], left) -- a write, so that WAIT has something to wait for on another connection, too
    return {token, 'granted', found.attempt}
end
local lease_left = found.lease - (found.life - left)
if lease_left > 0 then return {token, 'in_flight', lease_left} end
if ARGV[3] ~= '1' then return {token, 'expired', found.attempt} end
redis.call('set', KEYS[1], with_attempt(ARGV[1], found.attempt + 1), 'px', ARGV[2])
return {token, 'granted', found.attempt + 1}
