-- Renew. ARGV: the token; the lease from now in milliseconds. Every answer begins with the token.
local value = redis.call('get', KEYS[1])
if not value then return {ARGV[1], 'lost'} end
local found = read(value)
if not found then return {ARGV[1], 'unreadable'} end
if found.state ~= 'open' or found.token ~= ARGV[1] then return {ARGV[1], 'lost'} end

local lease = tonumber(ARGV[2])
local life = math.max(1, lease + found.life - found.lease)
-- Redis refuses a script's first write for want of memory, and no later one: PEXPIRE needs none, nor does the record.
redis.call('pexpire', KEYS[1], string.format('%.0f', life))
redis.call('set', KEYS[1], with_lease(value, lease, life), 'px', string.format('%.0f', life))
return {ARGV[1], 'held'}
