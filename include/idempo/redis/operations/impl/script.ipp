// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/operations/script.hpp>

#include <openssl/evp.h>

#include <array>
#include <cctype>
#include <ranges>
#include <stdexcept>

namespace idempo::redis {

namespace {

/// The SHA-1 by which EVALSHA names a script: https://redis.io/docs/latest/commands/evalsha/
std::string script_digest(std::string_view source) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    if (EVP_Digest(source.data(), source.size(), digest.data(), &size, EVP_sha1(), nullptr) != 1) {
        throw std::runtime_error("idempo: OpenSSL has no SHA-1, which Redis needs to name a script");
    }
    return to_hex({reinterpret_cast<char const*>(digest.data()), size});
}

struct lua_code {
    std::string_view name;
    std::string_view source;
};

/// What operations share: how to read and to write the value under KEYS[1]. record.hpp has its layout. Each function
/// calls only those before it.
constexpr lua_code shared_functions[] = {
    {"sum",
     R"lua(-- The sum of the header's words, by which a damaged one is known. Redis has no cheaper checksum for Lua.
local function sum(header)
    local a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t =
        struct.unpack('>I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4', header)
    return (a + b + c + d + e + f + g + h + i + j + k + l + m + n + o + p + q + r + s + t) % 4294967296
end
)lua"},
    {"fetch_from",
     R"lua(-- What is under a key: nil where nothing is; else the value, or of a large record's hash the header; and the size of
-- header and answer together.
local function fetch_from(key)
    local value = redis.pcall('get', key)
    if not value then return nil end
    if type(value) == 'string' then return value, #value end
    -- A hash, or an error that this command repeats.
    local header = redis.call('hget', key, 'header') or ''
    return header, #header + redis.call('hstrlen', key, 'answer')
end
)lua"},
    {"fetch",
     R"lua(local function fetch() return fetch_from(KEYS[1]) end
)lua"},
    {"answer_in",
     R"lua(-- What Complete was given.
local function answer_in(value, size)
    if #value == size then return string.sub(value, 85) end
    return redis.call('hget', KEYS[1], 'answer')
end
)lua"},
    {"keep",
     R"lua(-- Sets a completed record and its life.
local function keep(record, life)
    if #record <= 84 + 65536 then
        redis.call('set', KEYS[1], record, 'px', life)
        return
    end
    local header = string.sub(record, 1, 84)
    redis.call('set', KEYS[1], header) -- a full server refuses this, and none of the writes that follow
    redis.call('del', KEYS[1])
    redis.call('hset', KEYS[1], 'header', header, 'answer', string.sub(record, 85))
    redis.call('pexpire', KEYS[1], life)
end
)lua"},
    {"read",
     R"lua(-- The record in the value, or nil where it is none of ours, or damaged.
local function read(value, size)
    if #value < 84 then return nil end
    local magic, state, token, fingerprint, attempt, lease, life, length, sealed =
        struct.unpack('>c4c4c16c32I4I8I8I4I4', value)
    if magic ~= 'idr\1' or sealed ~= sum(value) or size ~= 84 + length then return nil end
    if state ~= 'done' and state ~= 'open' and state ~= 'park' then return nil end
    if state == 'park' and (length < 2 or length < 2 + struct.unpack('>I2', value, 85)) then return nil end
    return {state = state, token = token, fingerprint = fingerprint, attempt = attempt, lease = lease, life = life}
end
)lua"},
    {"with_attempt",
     R"lua(-- The same record as another attempt.
local function with_attempt(value, attempt)
    local header = string.sub(value, 1, 56) .. struct.pack('>I4', attempt) .. string.sub(value, 61, 80)
    return header .. struct.pack('>I4', sum(header)) .. string.sub(value, 85)
end
)lua"},
    {"with_lease",
     R"lua(-- The same record that is not completed with another lease and life.
local function with_lease(value, lease, life)
    local header = string.sub(value, 1, 60) .. struct.pack('>I8I8', lease, life) .. string.sub(value, 77, 80)
    return header .. struct.pack('>I4', sum(header)) .. string.sub(value, 85)
end
)lua"},
    {"with_body",
     R"lua(-- The same record with another state, and with other bytes behind its header.
local function with_body(value, state, body)
    local header = string.sub(value, 1, 4) .. state .. string.sub(value, 9, 76) .. struct.pack('>I4', #body)
    return header .. struct.pack('>I4', sum(header)) .. body
end
)lua"},
    {"notes",
     R"lua(-- What a record that is not completed keeps: a reason, and the steps.
local function notes(found, value)
    if found.state ~= 'park' then return '', string.sub(value, 85) end
    local first = 87 + struct.unpack('>I2', value, 85)
    return string.sub(value, 87, first - 1), string.sub(value, first)
end
)lua"},
    {"look",
     R"lua(-- What is told of a record: the record's header, the size of the value, its life, the size of its steps, and the reason
-- why it is parked, if there is one. Nil where there is no record. The caller's answer begins with `first`. Of a completed
-- record the caller checks the header, which is faster.
local function look(key, first)
    local value, size = fetch_from(key)
    if not value then return nil end
    local left = redis.call('pttl', key)
    if string.sub(value, 5, 8) == 'done' then return {first, 'found', string.sub(value, 1, 84), size, left, 0, ''} end
    local found = read(value, size)
    if not found or left < 0 then return {first, 'unreadable'} end
    local reason, steps = '', ''
    if found.state ~= 'done' then reason, steps = notes(found, value) end
    return {first, 'found', string.sub(value, 1, 84), size, left, #steps, reason}
end
)lua"},
    {"lease_left",
     R"lua(-- What is left of the lease. The life counts down while the lease does, so the time that has passed is what is missing
-- from the life.
local function lease_left(found, left) return found.lease - (found.life - left) end
)lua"},
    {"mark",
     R"lua(-- The mark of a used key is under KEYS[2], where the caller gives it: a number of milliseconds, for which the mark
-- outlives the record. Written after the record: Redis refuses a script's first write for want of memory, and no later
-- one.
local function mark(life, remember)
    if KEYS[2] then redis.call('set', KEYS[2], remember, 'px', string.format('%.0f', life + remember)) end
end
)lua"},
    {"move_mark",
     R"lua(-- The record lives for so long from now, and its mark is to outlive it as before.
local function move_mark(life)
    local remember = tonumber(redis.call('get', KEYS[2]) or '')
    if remember then redis.call('pexpire', KEYS[2], string.format('%.0f', life + remember)) end
end
)lua"},
    {"is_held_by",
     R"lua(-- Whether the fencing token holds the record. None holds one that is parked.
local function is_held_by(found, token, left)
    if found.state == 'done' or found.token ~= token then return false end
    return found.state == 'open' or lease_left(found, left) > 0
end
)lua"},
};

constexpr std::string_view abandon_source =
    R"lua(-- Abandon. ARGV: the fencing token. Every answer begins with it. What an attempt leaves behind is as before its
-- claim: nothing, or the record of the earlier attempts; and its steps.
local value, size = fetch()
if value then
    local found = read(value, size)
    if not found then return {ARGV[1], 'unreadable'} end
    local left = redis.call('pttl', KEYS[1])
    if is_held_by(found, ARGV[1], left) then
        if (found.attempt == 1 and #value == 84) or left < 1 then
            redis.call('del', KEYS[1], KEYS[2])
        else
            -- The next attempt must be told of the earlier ones and of steps: what stays is theirs, with a lease that
            -- has ended and nobody's token. Redis refuses a script's first write for want of memory, and no later one:
            -- PEXPIRE needs none, nor does the record.
            redis.call('pexpire', KEYS[1], left)
            local earlier = string.sub(value, 1, 8) .. string.rep('\0', 16) .. string.sub(value, 25)
            redis.call('set', KEYS[1], with_lease(with_attempt(earlier, found.attempt - 1), 0, left), 'px', left)
        end
    end
end
return {ARGV[1], 'done'}
)lua";

constexpr std::string_view claim_source =
    R"lua(-- Claim. ARGV: the record in flight as attempt 1; its life in milliseconds; '1' to take an ended lease over; '1' to take
-- a parked record; for how long a mark outlives it, where KEYS[2] is the mark.
-- Every answer begins with the claimer's fencing token. All that reads comes before all that writes, so that a full
-- or a read-only server still tells of the records it has.
local token = string.sub(ARGV[1], 9, 24)
local value, size = fetch()
if not value then
    if KEYS[2] and redis.call('get', KEYS[2]) then return {token, 'remembered'} end
    redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2])
    mark(ARGV[2], ARGV[5])
    return {token, 'granted', 1}
end
local found = read(value, size)
if not found then return {token, 'unreadable'} end
if found.fingerprint ~= string.sub(ARGV[1], 25, 56) then return {token, 'mismatch', found.fingerprint} end
if found.state == 'done' then
    if #value < size then return {token, 'large', value, size} end
    return {token, 'completed', answer_in(value, size)}
end

local left = redis.call('pttl', KEYS[1])
if left < 0 then return {token, 'unreadable'} end -- somebody has made it last for ever
left = math.max(1, left) -- PEXPIRE with 0 removes
local reason, steps = notes(found, value)
if is_held_by(found, token, left) then
    redis.call('pexpire', KEYS[1], left) -- a write, so that WAIT has something to wait for on another connection, too
    return {token, 'granted', found.attempt, steps}
end
local lease = lease_left(found, left)
if lease > 0 then return {token, 'in_flight', lease} end
if found.state == 'park' then
    if ARGV[4] ~= '1' then return {token, 'parked', found.attempt, reason} end
elseif found.attempt > 0 and ARGV[3] ~= '1' then
    return {token, 'expired', found.attempt}
end
local taken = with_attempt(ARGV[1], found.attempt + 1)
redis.call('set', KEYS[1], with_body(taken, found.state, string.sub(value, 85)), 'px', ARGV[2])
mark(ARGV[2], ARGV[5])
return {token, 'granted', found.attempt + 1, steps}
)lua";

constexpr std::string_view fetch_source =
    R"lua(-- Fetch. ARGV: the header of a large completed record, as Claim has told it, with which every answer begins. Then what
-- Complete was given, if that record is still there.
local header = redis.pcall('hget', KEYS[1], 'header')
if header ~= ARGV[1] then return {ARGV[1], 'gone'} end
return {ARGV[1], 'found', redis.call('hget', KEYS[1], 'answer')}
)lua";

constexpr std::string_view complete_source =
    R"lua(-- Complete. ARGV: the completed record as attempt 1; its life in milliseconds; '1' where the claim has reserved room; for
-- how long a mark outlives it, where KEYS[2] is the mark.
-- Every answer begins with the claimer's fencing token.
local token = string.sub(ARGV[1], 9, 24)
local value, size = fetch()
if not value then
    keep(ARGV[1], ARGV[2])
    mark(ARGV[2], ARGV[4])
    return {token, 'done'}
end
local found = read(value, size)
if not found then return {token, 'unreadable'} end
if found.fingerprint ~= string.sub(ARGV[1], 25, 56) then return {token, 'mismatch'} end
if found.token ~= token then
    if found.state == 'done' then return {token, 'completed', answer_in(value, size)} end
    local left = redis.call('pttl', KEYS[1])
    return {token, 'in_flight', math.max(0, lease_left(found, left))}
end
if found.state == 'park' and not is_held_by(found, token, redis.call('pttl', KEYS[1])) then
    return {token, 'in_flight', 0}
end
if found.state ~= 'done' then
    -- Redis refuses a script's first write for want of memory, and no later one: PEXPIRE needs none.
    if ARGV[3] == '1' then redis.call('pexpire', KEYS[1], ARGV[2]) end
    local completed = ARGV[1]
    if found.attempt ~= 1 then completed = with_attempt(completed, found.attempt) end
    keep(completed, ARGV[2])
    mark(ARGV[2], ARGV[4])
else
    local left = redis.call('pttl', KEYS[1])
    if left < 0 then left = ARGV[2] end -- somebody has made it last for ever
    if left == 0 then left = 1 end -- PEXPIRE with 0 removes
    redis.call('pexpire', KEYS[1], left) -- a write, so that WAIT has something to wait for
end
return {token, 'done'}
)lua";

constexpr std::string_view peek_source =
    R"lua(-- Peek. ARGV: what the answer begins with. Where there is no record, the life of its mark, KEYS[2].
local found = look(KEYS[1], ARGV[1])
if found then return found end
if not redis.call('get', KEYS[2]) then return {ARGV[1], 'absent'} end
return {ARGV[1], 'remembered', math.max(0, redis.call('pttl', KEYS[2]))}
)lua";

constexpr std::string_view peek_many_source =
    R"lua(-- Peek at many. KEYS: those of records. ARGV: what the answer begins with. Then of each key what is told of it.
local answer = {ARGV[1], 'many'}
for number, key in ipairs(KEYS) do answer[number + 2] = look(key, '') or {'', 'absent'} end
return answer
)lua";

constexpr std::string_view renew_source =
    R"lua(-- Renew. ARGV: the fencing token, with which every answer begins; the lease from now in milliseconds.
local value, size = fetch()
if not value then return {ARGV[1], 'lost'} end
local found = read(value, size)
if not found then return {ARGV[1], 'unreadable'} end
if not is_held_by(found, ARGV[1], redis.call('pttl', KEYS[1])) then return {ARGV[1], 'lost'} end

local lease = tonumber(ARGV[2])
local life = math.max(1, lease + found.life - found.lease)
-- Redis refuses a script's first write for want of memory, and no later one: PEXPIRE needs none, nor does the record.
redis.call('pexpire', KEYS[1], string.format('%.0f', life))
redis.call('set', KEYS[1], with_lease(value, lease, life), 'px', string.format('%.0f', life))
move_mark(life)
return {ARGV[1], 'held'}
)lua";

constexpr std::string_view save_step_source =
    R"lua(-- Save a step. ARGV: the fencing token, with which every answer begins; how many bytes of steps are there; the step.
local value, size = fetch()
if not value then return {ARGV[1], 'lost'} end
local found = read(value, size)
if not found then return {ARGV[1], 'unreadable'} end
local left = redis.call('pttl', KEYS[1])
if left < 0 then return {ARGV[1], 'unreadable'} end -- somebody has made it last for ever
left = math.max(1, left)
if not is_held_by(found, ARGV[1], left) then return {ARGV[1], 'lost'} end
local _, steps = notes(found, value)
local offset = tonumber(ARGV[2])
if #steps == offset then
    redis.call('set', KEYS[1], with_body(value, found.state, string.sub(value, 85) .. ARGV[3]), 'px', left)
elseif #steps < offset then
    return {ARGV[1], 'lost'}
else
    redis.call('pexpire', KEYS[1], left) -- a write, so that WAIT has something to wait for on another connection, too
end
return {ARGV[1], 'held'}
)lua";

constexpr std::string_view park_source =
    R"lua(-- Park. ARGV: the parked record as attempt 1, without steps; its life in milliseconds; for how long a mark outlives it,
-- where KEYS[2] is the mark. Every answer begins with the fencing token.
local token = string.sub(ARGV[1], 9, 24)
local value, size = fetch()
if not value then
    redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2])
    mark(ARGV[2], ARGV[3])
    return {token, 'held'}
end
local found = read(value, size)
if not found then return {token, 'unreadable'} end
local same = found.fingerprint == string.sub(ARGV[1], 25, 56) and found.token == token
if not same or found.state == 'done' then return {token, 'lost'} end
local left = redis.call('pttl', KEYS[1])
if not is_held_by(found, token, left) then
    redis.call('pexpire', KEYS[1], math.max(1, left)) -- it is parked already; a write, so that WAIT has one to wait for
    return {token, 'held'}
end
local _, steps = notes(found, value)
local parked = with_body(with_attempt(ARGV[1], found.attempt), 'park', string.sub(ARGV[1], 85) .. steps)
-- Redis refuses a script's first write for want of memory, and no later one: PEXPIRE needs none.
redis.call('pexpire', KEYS[1], ARGV[2])
redis.call('set', KEYS[1], parked, 'px', ARGV[2])
mark(ARGV[2], ARGV[3])
return {token, 'held'}
)lua";

constexpr std::string_view settle_source =
    R"lua(-- Settle. ARGV: what the answer begins with; the attempt; its completed record with nobody's token and fingerprint, or
-- nothing; its life in milliseconds.
local value, size = fetch()
if not value then return {ARGV[1], 'lost'} end
local found = read(value, size)
if not found then return {ARGV[1], 'unreadable'} end
local left = redis.call('pttl', KEYS[1])
if left < 0 then return {ARGV[1], 'unreadable'} end -- somebody has made it last for ever
if found.state == 'done' or found.attempt ~= tonumber(ARGV[2]) or lease_left(found, left) > 0 then
    return {ARGV[1], 'lost'}
end
local _, steps = notes(found, value)
if ARGV[3] == '' and steps == '' then
    redis.call('del', KEYS[1], KEYS[2])
    return {ARGV[1], 'held'}
end
local body = ARGV[3] == '' and steps or string.sub(ARGV[3], 85)
local state = ARGV[3] == '' and 'open' or 'done'
local attempt = ARGV[3] == '' and 0 or found.attempt
local owner = string.sub(value, 1, 8) .. string.rep('\0', 16) .. string.sub(value, 25)
local settled = with_body(with_lease(with_attempt(owner, attempt), 0, tonumber(ARGV[4])), state, body)
keep(settled, ARGV[4])
move_mark(ARGV[4])
return {ARGV[1], 'held'}
)lua";

constexpr std::string_view take_source =
    R"lua(-- Take one of a client's requests in its window. ARGV: a token; the limit; the window in milliseconds. The value is the
-- number taken. Every answer begins with the token.
local left = redis.call('pttl', KEYS[1])
if left < 1 then -- none, or one that would never expire: a window begins, and its end with it
    redis.call('set', KEYS[1], 1, 'px', ARGV[3])
    return {ARGV[1], 'taken', 1, tonumber(ARGV[3])}
end
local value = redis.call('get', KEYS[1])
if #value > 15 or not string.match(value, '^%d+$') then return {ARGV[1], 'unreadable'} end
local taken = tonumber(value)
if left > tonumber(ARGV[3]) then -- of a service that was configured with longer ones
    redis.call('pexpire', KEYS[1], ARGV[3])
    left = tonumber(ARGV[3])
end
if taken >= tonumber(ARGV[2]) then return {ARGV[1], 'used_up', taken, left} end
-- Redis refuses a script's first write for want of memory, and no later one: PEXPIRE needs none, nor does the number. So
-- a full server goes on counting in the windows that it has.
redis.call('pexpire', KEYS[1], left)
return {ARGV[1], 'taken', redis.call('incr', KEYS[1]), left}
)lua";

bool is_part_of_name(char each) { return each == '_' || std::isalnum(static_cast<unsigned char>(each)) != 0; }

bool calls(std::string_view code, std::string_view function) {
    auto const call = std::string(function).append("(");
    for (auto at = code.find(call); at != code.npos; at = code.find(call, at + 1)) {
        if (at == 0 || !is_part_of_name(code[at - 1])) return true;
    }
    return false;
}

/// The operation's code behind the shared functions that it needs, and no others: Lua makes them anew in each run.
std::string with_shared_functions(std::string_view operation) {
    std::string code(operation);
    for (auto const& each : std::ranges::reverse_view(shared_functions)) {
        if (calls(code, each.name)) code.insert(0, each.source);
    }
    return code;
}

/// The most frequent come first.
constexpr lua_code operations[] = {
    {"claim", claim_source},     {"complete", complete_source}, {"renew", renew_source},         {"take", take_source},
    {"abandon", abandon_source}, {"fetch", fetch_source},       {"save_step", save_step_source}, {"park", park_source},
    {"settle", settle_source},   {"peek", peek_source},         {"peek_many", peek_many_source},
};

/// One script for all operations, the last argument of which names the operation. So a server knows all of them or
/// none: an operation whose script it does not know can never be overtaken by a later one whose script it does know.
std::string all_sources() {
    std::string source = "local name = ARGV[#ARGV]\n";
    std::string_view branch = "if";
    for (auto const& each : operations) {
        source.append(branch).append(" name == '").append(each.name).append("' then\n");
        source.append(with_shared_functions(each.source));
        branch = "elseif";
    }
    source.append("end\n");
    return source;
}

script make_script(std::string_view name) {
    static std::string const source = all_sources();
    static std::string const digest = script_digest(source);
    return {name, digest, source};
}

}  // namespace

namespace scripts {

script const& abandon() {
    static script const instance = make_script("abandon");
    return instance;
}

script const& claim() {
    static script const instance = make_script("claim");
    return instance;
}

script const& complete() {
    static script const instance = make_script("complete");
    return instance;
}

script const& fetch() {
    static script const instance = make_script("fetch");
    return instance;
}

script const& park() {
    static script const instance = make_script("park");
    return instance;
}

script const& peek() {
    static script const instance = make_script("peek");
    return instance;
}

script const& peek_many() {
    static script const instance = make_script("peek_many");
    return instance;
}

script const& renew() {
    static script const instance = make_script("renew");
    return instance;
}

script const& save_step() {
    static script const instance = make_script("save_step");
    return instance;
}

script const& settle() {
    static script const instance = make_script("settle");
    return instance;
}

script const& take() {
    static script const instance = make_script("take");
    return instance;
}

}  // namespace scripts

}  // namespace idempo::redis
