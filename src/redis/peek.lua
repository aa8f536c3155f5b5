-- Peek. ARGV: what the answer begins with. Then the record's header, the size of the value, and its life, if there is one.
local value = redis.call('get', KEYS[1])
if not value then return {ARGV[1], 'absent'} end
if not read(value) then return {ARGV[1], 'unreadable'} end
return {ARGV[1], 'found', string.sub(value, 1, 84), #value, redis.call('pttl', KEYS[1])}
