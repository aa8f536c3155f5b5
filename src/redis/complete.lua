-- Complete. ARGV: the completed record as attempt 1; its life in milliseconds; '1' where the claim has reserved room.
-- Every answer begins with the claimer's token.
local token = string.sub(ARGV[1], 9, 24)
local value = redis.call('get', KEYS[1])
if not value then
    redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2])
    return {token, 'done'}
end
local found = read(value)
if not found then return {token, 'unreadable'} end
if found.fingerprint ~= string.sub(ARGV[1], 25, 56) then return {token, 'mismatch'} end
if found.token ~= token then
    if found.state == 'done' then return {token, 'completed', string.sub(value, 85)} end
    local left = redis.call('pttl', KEYS[1])
    return {token, 'in_flight', math.max(0, found.lease - (found.life - left))}
end
if found.state == 'open' then
    -- Redis refuses a script's first write for want of memory, and no later one: PEXPIRE needs none.
    if ARGV[3] == '1' then redis.call('pexpire', KEYS[1], ARGV[2]) end
    local completed = ARGV[1]
    if found.attempt ~= 1 then completed = with_attempt(completed, found.attempt) end
    redis.call('set', KEYS[1], completed, 'px', ARGV[2])
else
    redis.call('pexpire', KEYS[1], redis.call('pttl', KEYS[1])) -- a write, so that WAIT has something to wait for
end
return {token, 'done'}
