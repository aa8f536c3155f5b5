#pragma once

#include <idempo/postgres/statements/statements.hpp>

#include <cstddef>
#include <utility>

namespace idempo::postgres {

namespace {

using std::string;

/// Replaces each `{name}`.
string filled(string text, string const& name, string const& value) {
    auto const mark = "{" + name + "}";
    for (auto at = text.find(mark); at != string::npos; at = text.find(mark, at + value.size())) {
        text.replace(at, mark.size(), value);
    }
    return text;
}

constexpr auto set =
    R"sql(set_config('synchronous_commit', 'on', true) || set_config('lock_timeout', '{lock_timeout}', true))sql";

// For many rows: in a sub-select that depends on nothing, so that it is evaluated once, and before the first is locked.
constexpr auto settings = "(SELECT {set}) IS NOT NULL";

// For one row: in a value that the row needs before it can be locked. A plan of one node takes the server half the time
// of one with a sub-select, which is most of what a lone claim costs besides its commit.
constexpr auto first_attempt = "CASE WHEN {set} IS NOT NULL THEN 1 END";

constexpr auto claim_many = R"sql(
INSERT INTO {table} AS record (key, token, fingerprint, attempt, lease_until, expires_at)
SELECT key, token, fingerprint, 1, now + lease * interval '1 millisecond', now + life * interval '1 millisecond'
FROM (
    SELECT *, clock_timestamp() AS now
    FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bigint[], $5::bigint[])
        AS given (key, token, fingerprint, lease, life)
) AS claim
WHERE {settings})sql";

constexpr auto claim_one = R"sql(
INSERT INTO {table} AS record (key, token, fingerprint, attempt, lease_until, expires_at)
VALUES (
    $1::bytea, $2::bytea, $3::bytea, {first_attempt},
    clock_timestamp() + $4::bigint * interval '1 millisecond',
    clock_timestamp() + $5::bigint * interval '1 millisecond'
))sql";

constexpr auto claim_of_a_known_key = R"sql(
ON CONFLICT (key) DO UPDATE SET
    token = excluded.token,
    fingerprint = excluded.fingerprint,
    attempt = CASE
        WHEN record.expires_at <= clock_timestamp() THEN 1
        WHEN record.token = excluded.token THEN record.attempt
        ELSE record.attempt + 1
    END,
    lease_until = excluded.lease_until,
    expires_at = excluded.expires_at,
    response = NULL
WHERE record.expires_at <= clock_timestamp()
    OR record.response IS NULL AND record.fingerprint = excluded.fingerprint
        AND (record.token = excluded.token {or_takeover})
RETURNING encode(key, 'hex'), attempt)sql";

constexpr auto complete_many = R"sql(
INSERT INTO {table} AS record (key, token, fingerprint, attempt, lease_until, expires_at, response)
SELECT key, token, fingerprint, 1, now, now + retention * interval '1 millisecond', response
FROM (
    SELECT *, clock_timestamp() AS now
    FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bigint[], $5::bytea[])
        AS given (key, token, fingerprint, retention, response)
) AS complete
WHERE {settings})sql";

constexpr auto complete_one = R"sql(
INSERT INTO {table} AS record (key, token, fingerprint, attempt, lease_until, expires_at, response)
VALUES (
    $1::bytea, $2::bytea, $3::bytea, {first_attempt},
    clock_timestamp(), clock_timestamp() + $4::bigint * interval '1 millisecond', $5::bytea
))sql";

constexpr auto complete_of_a_known_key = R"sql(
ON CONFLICT (key) DO UPDATE SET
    token = excluded.token,
    fingerprint = excluded.fingerprint,
    attempt = CASE WHEN record.token = excluded.token THEN record.attempt ELSE 1 END,
    lease_until = excluded.lease_until,
    expires_at = excluded.expires_at,
    response = excluded.response
WHERE record.expires_at <= clock_timestamp()
    OR record.response IS NULL AND record.token = excluded.token AND record.fingerprint = excluded.fingerprint
RETURNING encode(key, 'hex'))sql";

// OFFSET 0 keeps the planner from making a join of it, which it would order as it thinks best.
constexpr auto held = R"sql(
    SELECT * FROM {table} AS record
    WHERE record.key = given.key AND record.token = given.token AND record.response IS NULL
        AND record.expires_at > clock_timestamp()
    OFFSET 0)sql";

constexpr auto renew_text = R"sql(
INSERT INTO {table} AS record (key, token, fingerprint, attempt, lease_until, expires_at)
SELECT held.key, held.token, held.fingerprint, held.attempt, until, until + (held.expires_at - held.lease_until)
FROM (
    SELECT *, clock_timestamp() + lease * interval '1 millisecond' AS until
    FROM unnest($1::bytea[], $2::bytea[], $3::bigint[]) AS given (key, token, lease)
) AS given CROSS JOIN LATERAL ({held}) AS held
WHERE {settings}
ON CONFLICT (key) DO UPDATE SET lease_until = excluded.lease_until, expires_at = excluded.expires_at
WHERE record.token = excluded.token AND record.response IS NULL AND record.expires_at > clock_timestamp()
RETURNING encode(key, 'hex'))sql";

// Expired rather than deleted: the sweeper alone deletes, and rows are locked in one way alone.
constexpr auto abandon_text = R"sql(
INSERT INTO {table} AS record (key, token, fingerprint, attempt, lease_until, expires_at)
SELECT held.key, held.token, held.fingerprint, held.attempt, '-infinity', '-infinity'
FROM unnest($1::bytea[], $2::bytea[]) AS given (key, token) CROSS JOIN LATERAL ({held}) AS held
WHERE {settings}
ON CONFLICT (key) DO UPDATE SET lease_until = excluded.lease_until, expires_at = excluded.expires_at
WHERE record.token = excluded.token AND record.response IS NULL)sql";

constexpr auto read_text = R"sql(
SELECT given.place, found.*
FROM unnest($1::bytea[], $2::bytea[], $3::bytea[]) WITH ORDINALITY AS given (key, token, fingerprint, place)
CROSS JOIN LATERAL (
    SELECT
        record.token = given.token,
        record.fingerprint = given.fingerprint,
        record.attempt,
        (extract(epoch FROM record.lease_until - clock_timestamp()) * 1000000)::bigint,
        record.response IS NOT NULL,
        CASE WHEN record.fingerprint = given.fingerprint THEN encode(record.response, 'hex') END
    FROM {table} AS record
    WHERE record.key = given.key AND record.expires_at > clock_timestamp()
    OFFSET 0
) AS found)sql";

constexpr auto peek_text = R"sql(
SELECT
    attempt,
    (extract(epoch FROM lease_until - clock_timestamp()) * 1000000)::bigint,
    (extract(epoch FROM expires_at - clock_timestamp()) * 1000000)::bigint,
    octet_length(response)
FROM {table}
WHERE key = $1::bytea AND expires_at > clock_timestamp())sql";

constexpr auto forget_text = R"sql(
UPDATE {table} SET lease_until = '-infinity', expires_at = '-infinity', response = NULL
WHERE key = $1::bytea AND expires_at > clock_timestamp() AND {settings}
RETURNING 1)sql";

}  // namespace

string quoted_name(std::string_view name) {
    string quoted = "\"";
    for (char const each : name) {
        if (each == '"') quoted += '"';
        quoted += each;
    }
    return quoted + '"';
}

statements::statements(string const& table, std::chrono::milliseconds lock_timeout) {
    auto const made = [&](string text) {
        text = filled(std::move(text), "held", held);
        text = filled(std::move(text), "settings", settings);
        text = filled(std::move(text), "first_attempt", first_attempt);
        text = filled(std::move(text), "set", set);
        text = filled(std::move(text), "lock_timeout", std::to_string(lock_timeout.count()));
        return filled(std::move(text), "table", table);
    };
    auto const made_claim = [&](string const& or_takeover) {
        auto const known = filled(claim_of_a_known_key, "or_takeover", or_takeover);
        return row_statement{made(claim_many + known), made(claim_one + known)};
    };
    claim = made_claim("OR record.lease_until <= clock_timestamp()");
    claim_without_takeover = made_claim("");
    string const known = complete_of_a_known_key;
    complete = {made(complete_many + known), made(complete_one + known)};
    renew = made(renew_text);
    abandon = made(abandon_text);
    read = made(read_text);
    peek = made(peek_text);
    forget = made(forget_text);
}

}  // namespace idempo::postgres
