-- Abandon. ARGV: the token. Every answer begins with it.
local value = redis.call('get', KEYS[1])
if value then
    local found = read(value)
    if not found then return {ARGV[1], 'unreadable'} end
    if found.state == 'open' and found.token == ARGV[1] then redis.call('del', KEYS[1]) end
end
return {ARGV[1], 'done'}
