-- What the scripts share: how to read and to write the value under KEYS[1]. src/redis/redis_record.hpp has its layout.
-- The build puts this in front of each script.

-- The sum of the header's words, by which a damaged one is known. Redis has no cheaper checksum for Lua.
local function sum(header)
    local a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t =
        struct.unpack('>I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4', header)
    return (a + b + c + d + e + f + g + h + i + j + k + l + m + n + o + p + q + r + s + t) % 4294967296
end

-- The record in the value, or nil where it is none of ours, or damaged.
local function read(value)
    if #value < 84 then return nil end
    local magic, state, token, fingerprint, attempt, lease, life, length, sealed =
        struct.unpack('>c4c4c16c32I4I8I8I4I4', value)
    if magic ~= 'idr\1' or sealed ~= sum(value) or #value ~= 84 + length then return nil end
    if state ~= 'done' and (state ~= 'open' or length ~= 0) then return nil end
    return {state = state, token = token, fingerprint = fingerprint, attempt = attempt, lease = lease, life = life}
end

-- The same record as another attempt.
local function with_attempt(value, attempt)
    local header = string.sub(value, 1, 56) .. struct.pack('>I4', attempt) .. string.sub(value, 61, 80)
    return header .. struct.pack('>I4', sum(header)) .. string.sub(value, 85)
end

-- The same record in flight with another lease and life.
local function with_lease(value, lease, life)
    local header = string.sub(value, 1, 60) .. struct.pack('>I8I8', lease, life) .. string.sub(value, 77, 80)
    return header .. struct.pack('>I4', sum(header))
end
