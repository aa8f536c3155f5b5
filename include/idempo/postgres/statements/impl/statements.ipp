// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/statements/statements.hpp>

#include <string_view>

namespace idempo::postgres {

namespace {

// With several arrays `unnest` is a word of the grammar, which stands for the function of pg_catalog.
// Marks: {=}, {<=}, {>}, {+}, {-}, {*}, {||} are operators of pg_catalog; {now} is its clock; {ms} a millisecond.

/// Only raised: what the database's owner chose may be stricter.
constexpr auto set = R"sql(pg_catalog.set_config('synchronous_commit',
        CASE WHEN pg_catalog.current_setting('synchronous_commit') {=} 'remote_apply' THEN 'remote_apply' ELSE 'on' END,
        true) {||} pg_catalog.set_config('lock_timeout', '{lock_timeout}', true))sql";

// For many rows: in a sub-select that depends on nothing, so that it is evaluated once, and before the first is locked.
constexpr auto settings = "(SELECT {set}) IS NOT NULL";

// For one row: in a value that the row needs before it can be locked. A plan of one node takes the server half the time
// of one with a sub-select, which is most of what a lone Complete costs besides its commit.
constexpr auto first_attempt = "CASE WHEN {set} IS NOT NULL THEN 1 END";

// OFFSET 0 keeps the planner from making a join of it, which it would order as it thinks best.
constexpr auto unexpired = R"sql(
    SELECT
        record.attempt AS attempt, record.token AS token, record.fingerprint AS fingerprint,
        (pg_catalog.date_part('epoch', record.lease_until {-} {now}) {*} 1000000::pg_catalog.float8)::pg_catalog.int8
            AS lease_remaining,
        pg_catalog.octet_length(record.response) AS size,
        CASE WHEN pg_catalog.octet_length(record.response) {<=} {inline} THEN record.response END AS response,
        record.steps AS steps, record.parked AS reason,
        record.response IS NULL AND record.lease_until {<=} {now} AS is_over
    FROM {table} AS record
    WHERE record.key {=} given.key AND record.expires_at {>} {now}
    OFFSET 0)sql";

/// Of a record in flight.
constexpr auto is_not_parked = "(record.parked IS NULL OR record.lease_until {>} {now})";

/// Of a lease. The clock is read before the row is locked: a process that stops in between must not take back what a
/// later Claim or Renew of the same token has told.
constexpr auto later_end = R"sql(CASE
            WHEN record.token {=} excluded.token AND record.expires_at {>} {now}
            THEN GREATEST(record.lease_until, excluded.lease_until)
            ELSE excluded.lease_until
        END)sql";

/// Whether something is left of a record that is abandoned.
constexpr auto is_left = "record.attempt {>} 1 OR record.steps IS NOT NULL";

/// Of a key without an unexpired record: it has expired, and is its own mark until it is swept; or it has been.
constexpr auto has_mark = R"sql(found.attempt IS NULL AND (
            EXISTS (
                SELECT 1 FROM {table} AS record
                WHERE record.key {=} given.key AND record.expires_at {<=} {now} AND {is_remembered}
            ) OR EXISTS (
                SELECT 1 FROM {marks} AS mark
                WHERE mark.key_prefix {=} pg_catalog.substr(given.key, 1, 16) AND mark.until {>} {now}
            )
        ))sql";

/// Of an expired record.
constexpr auto is_remembered =
    "COALESCE(record.expires_at {+} (record.remember::pg_catalog.float8 {*} {ms}) {>} {now}, false)";

constexpr auto claim_text = R"sql(
WITH looked AS MATERIALIZED (
    SELECT
        given.key, given.token, given.fingerprint, given.lease, given.life, given.remember,
        found.attempt AS found_attempt, found.token AS found_token, found.fingerprint AS found_fingerprint,
        found.lease_remaining, found.size, found.response,
        CASE WHEN found.is_over THEN found.reason END AS reason,
        found.attempt IS NOT NULL AND NOT (
            found.size IS NULL AND found.fingerprint {=} given.fingerprint
            AND (found.token {=} given.token AND NOT (found.is_over AND found.reason IS NOT NULL) {or_is_over})
        ) AS is_met,
        {has_mark} AS has_mark
    FROM unnest($1::pg_catalog.bytea[], $2::pg_catalog.bytea[], $3::pg_catalog.bytea[],
            $4::pg_catalog.int8[], $5::pg_catalog.int8[], $6::pg_catalog.int8[])
            AS given (key, token, fingerprint, lease, life, remember)
        LEFT JOIN LATERAL ({unexpired}) AS found ON true
), made AS (
    INSERT INTO {table} AS record (key, token, fingerprint, attempt, lease_until, expires_at, remember)
    SELECT
        key, token, fingerprint, 1,
        now {+} (lease::pg_catalog.float8 {*} {ms}), now {+} (life::pg_catalog.float8 {*} {ms}), {remember}
    FROM (SELECT *, {now} AS now FROM looked WHERE NOT is_met AND NOT has_mark) AS claim
    WHERE {settings}
    ON CONFLICT (key) DO UPDATE SET
        token = excluded.token,
        fingerprint = excluded.fingerprint,
        attempt = CASE
            WHEN record.expires_at {<=} {now} THEN 1
            WHEN record.token {=} excluded.token THEN record.attempt
            ELSE record.attempt {+} 1
        END,
        lease_until = {later_end},
        expires_at = {later_end} {+} (excluded.expires_at {-} excluded.lease_until),
        response = NULL,
        steps = CASE WHEN record.expires_at {>} {now} THEN record.steps END,
        parked = CASE WHEN record.expires_at {>} {now} THEN record.parked END,
        remember = excluded.remember
    WHERE record.expires_at {<=} {now} {and_is_forgotten}
        OR record.response IS NULL AND record.fingerprint {=} excluded.fingerprint
            AND (record.token {=} excluded.token AND {is_not_parked} {or_takeover})
    RETURNING key, attempt, steps
)
SELECT key, attempt, NULL::pg_catalog.bytea, NULL::pg_catalog.bytea, NULL::pg_catalog.int8, NULL::pg_catalog.int4,
    steps, NULL::pg_catalog.bytea
FROM made
UNION ALL
SELECT key, found_attempt, found_token, found_fingerprint, lease_remaining, size, response, reason
FROM looked WHERE is_met
UNION ALL
SELECT key, NULL::pg_catalog.int4, ''::pg_catalog.bytea, NULL::pg_catalog.bytea, NULL::pg_catalog.int8,
    NULL::pg_catalog.int4, NULL::pg_catalog.bytea, NULL::pg_catalog.bytea
FROM looked WHERE has_mark)sql";

constexpr auto complete_many = R"sql(
INSERT INTO {table} AS record (key, token, fingerprint, attempt, lease_until, expires_at, response, remember)
SELECT key, token, fingerprint, 1, now, now {+} (retention::pg_catalog.float8 {*} {ms}), response, {remember}
FROM (
    SELECT *, {now} AS now
    FROM unnest($1::pg_catalog.bytea[], $2::pg_catalog.bytea[], $3::pg_catalog.bytea[],
            $4::pg_catalog.int8[], $5::pg_catalog.bytea[], $6::pg_catalog.int8[])
        AS given (key, token, fingerprint, retention, response, remember)
) AS complete
WHERE {settings})sql";

constexpr auto complete_one = R"sql(
INSERT INTO {table} AS record (key, token, fingerprint, attempt, lease_until, expires_at, response, remember)
VALUES (
    $1::pg_catalog.bytea, $2::pg_catalog.bytea, $3::pg_catalog.bytea, {first_attempt},
    {now}, {now} {+} ($4::pg_catalog.int8::pg_catalog.float8 {*} {ms}), $5::pg_catalog.bytea, {remember_one}
))sql";

constexpr auto complete_of_a_known_key = R"sql(
ON CONFLICT (key) DO UPDATE SET
    token = excluded.token,
    fingerprint = excluded.fingerprint,
    attempt = CASE WHEN record.token {=} excluded.token THEN record.attempt ELSE 1 END,
    lease_until = excluded.lease_until,
    expires_at = excluded.expires_at,
    response = excluded.response,
    steps = NULL,
    parked = NULL,
    remember = excluded.remember
WHERE record.expires_at {<=} {now}
    OR record.response IS NULL AND record.token {=} excluded.token AND record.fingerprint {=} excluded.fingerprint
        AND {is_not_parked}
RETURNING key)sql";

constexpr auto held = R"sql(
    SELECT * FROM {table} AS record
    WHERE record.key {=} given.key AND record.token {=} given.token AND record.response IS NULL
        AND record.expires_at {>} {now} AND {is_not_parked}
    OFFSET 0)sql";

// The clock is read when the row is locked, which nobody can then delete: a process that stops before that may be as
// late as it likes.
constexpr auto renew_text = R"sql(
INSERT INTO {table} AS record (key, token, fingerprint, attempt, lease_until, expires_at)
SELECT key, token, fingerprint, attempt, until, until {+} retention
FROM (
    SELECT
        held.*, held.expires_at {-} held.lease_until AS retention,
        {now} {+} (given.lease::pg_catalog.float8 {*} {ms}) AS until
    FROM unnest($1::pg_catalog.bytea[], $2::pg_catalog.bytea[], $3::pg_catalog.int8[]) AS given (key, token, lease)
        CROSS JOIN LATERAL ({held} FOR UPDATE) AS held
    WHERE {settings}
    OFFSET 0
) AS locked
ON CONFLICT (key) DO UPDATE SET lease_until = excluded.lease_until, expires_at = excluded.expires_at
RETURNING key)sql";

// Of one row each: they are rare, and one row locks in no wrong order.
constexpr auto save_step_text = R"sql(
UPDATE {table} AS record SET steps = CASE
    WHEN pg_catalog.octet_length(COALESCE(record.steps, ''::pg_catalog.bytea)) {=} $3::pg_catalog.int8
    THEN COALESCE(record.steps, ''::pg_catalog.bytea) {||} $4::pg_catalog.bytea
    ELSE record.steps
END
WHERE record.key {=} $1::pg_catalog.bytea AND record.token {=} $2::pg_catalog.bytea AND record.response IS NULL
    AND record.expires_at {>} {now} AND {is_not_parked}
    AND $3::pg_catalog.int8 {<=} pg_catalog.octet_length(COALESCE(record.steps, ''::pg_catalog.bytea)) AND {settings}
RETURNING 1)sql";

constexpr auto park_text = R"sql(
INSERT INTO {table} AS record (key, token, fingerprint, attempt, lease_until, expires_at, parked, remember)
VALUES (
    $1::pg_catalog.bytea, $2::pg_catalog.bytea, $3::pg_catalog.bytea, {first_attempt},
    {now}, {now} {+} ($4::pg_catalog.int8::pg_catalog.float8 {*} {ms}), $5::pg_catalog.bytea, {remember_one}
)
ON CONFLICT (key) DO UPDATE SET
    token = excluded.token,
    fingerprint = excluded.fingerprint,
    attempt = CASE WHEN record.expires_at {<=} {now} THEN 1 ELSE record.attempt END,
    lease_until = excluded.lease_until,
    expires_at = excluded.expires_at,
    response = NULL,
    steps = CASE WHEN record.expires_at {>} {now} THEN record.steps END,
    parked = excluded.parked,
    remember = excluded.remember
WHERE record.expires_at {<=} {now}
    OR record.response IS NULL AND record.token {=} excluded.token AND record.fingerprint {=} excluded.fingerprint
RETURNING 1)sql";

constexpr auto unmarked = R"sql(
    DELETE FROM {marks}
    WHERE key_prefix {=} pg_catalog.substr($1::pg_catalog.bytea, 1, 16) AND until {>} {now}
    RETURNING 1
)sql";

constexpr auto settle_text = R"sql({with_unmarked}
UPDATE {table} AS record SET
    token = ''::pg_catalog.bytea,
    attempt = {attempt},
    lease_until = {now},
    expires_at = {expires_at},
    response = {response},
    steps = {steps},
    parked = NULL,
    remember = {kept_remember}
WHERE record.key {=} $1::pg_catalog.bytea AND record.attempt {=} $2::pg_catalog.int8 AND record.response IS NULL
    AND record.expires_at {>} {now} AND record.lease_until {<=} {now} AND {settings}
RETURNING 1)sql";

// Expired rather than deleted: the sweeper alone deletes, and rows are locked in one way alone. An attempt above the
// first leaves an earlier one behind, which may have had its effect, and so does a step: the next one must learn of it.
// Nobody holds the record.
constexpr auto abandon_text = R"sql(
INSERT INTO {table} AS record (key, token, fingerprint, attempt, lease_until, expires_at)
SELECT held.key, held.token, held.fingerprint, held.attempt, {now}, '-infinity'::pg_catalog.timestamptz
FROM unnest($1::pg_catalog.bytea[], $2::pg_catalog.bytea[]) AS given (key, token)
    CROSS JOIN LATERAL ({held}) AS held
WHERE {settings}
ON CONFLICT (key) DO UPDATE SET
    token = CASE WHEN {is_left} THEN ''::pg_catalog.bytea ELSE record.token END,
    attempt = CASE WHEN {is_left} THEN record.attempt {-} 1 ELSE record.attempt END,
    lease_until = {now},
    expires_at = CASE
        WHEN {is_left} THEN {now} {+} (record.expires_at {-} record.lease_until)
        ELSE excluded.expires_at
    END
WHERE record.token {=} excluded.token AND record.response IS NULL AND record.expires_at {>} {now}
    AND {is_not_parked})sql";

constexpr auto read_text = R"sql(
SELECT
    given.key, found.attempt, found.token, found.fingerprint, found.lease_remaining, found.size, found.response,
    CASE WHEN found.is_over THEN found.reason END
FROM pg_catalog.unnest($1::pg_catalog.bytea[]) AS given (key)
CROSS JOIN LATERAL ({unexpired}) AS found)sql";

constexpr auto fetch_text = R"sql(
SELECT found.key, found.response
FROM unnest($1::pg_catalog.bytea[], $2::pg_catalog.bytea[]) AS given (key, token)
CROSS JOIN LATERAL (
    SELECT * FROM {table} AS record
    WHERE record.key {=} given.key AND record.token {=} given.token AND record.response IS NOT NULL
    OFFSET 0
) AS found)sql";

constexpr auto peek_text = R"sql(
SELECT
    attempt,
    (pg_catalog.date_part('epoch', lease_until {-} {now}) {*} 1000000::pg_catalog.float8)::pg_catalog.int8,
    (pg_catalog.date_part('epoch', expires_at {-} {now}) {*} 1000000::pg_catalog.float8)::pg_catalog.int8,
    pg_catalog.octet_length(response),
    pg_catalog.octet_length(COALESCE(steps, ''::pg_catalog.bytea)),
    parked,
    parked IS NOT NULL AND lease_until {<=} {now},
    {age},
    false
FROM {table}
WHERE key {=} $1::pg_catalog.bytea AND expires_at {>} {now}
UNION ALL
SELECT
    0, 0::pg_catalog.int8,
    (pg_catalog.date_part('epoch', until {-} {now}) {*} 1000000::pg_catalog.float8)::pg_catalog.int8,
    NULL::pg_catalog.int4, 0, NULL::pg_catalog.bytea, false, NULL::pg_catalog.int8, true
FROM (
    SELECT record.expires_at {+} (record.remember::pg_catalog.float8 {*} {ms}) AS until
    FROM {table} AS record
    WHERE record.key {=} $1::pg_catalog.bytea AND record.expires_at {<=} {now} AND {is_remembered}
    UNION ALL
    SELECT until
    FROM {marks}
    WHERE key_prefix {=} pg_catalog.substr($1::pg_catalog.bytea, 1, 16) AND until {>} {now}
) AS mark)sql";

// Parameters: a key, a number of rows, a state or -1.
constexpr auto list_text = R"sql(
SELECT attempt, lease, life, size, steps_size, parked, is_parked, age, key, is_match, is_end
FROM (
    SELECT *,
        is_live AND ($3::pg_catalog.int8 {<} 0::pg_catalog.int8 OR $3::pg_catalog.int8 {=} state) AS is_match,
        number {=} $2::pg_catalog.int8 AS is_end
    FROM (
        SELECT *,
            CASE WHEN size IS NOT NULL THEN 1 WHEN is_parked THEN 2 ELSE 0 END::pg_catalog.int8 AS state,
            pg_catalog.row_number() OVER (ORDER BY key) AS number
        FROM (
            SELECT
                key,
                attempt,
                (pg_catalog.date_part('epoch', lease_until {-} {now}) {*} 1000000::pg_catalog.float8)::pg_catalog.int8
                    AS lease,
                CASE WHEN expires_at {>} {now} THEN -- others may end at -infinity, which cannot be subtracted from
                    (pg_catalog.date_part('epoch', expires_at {-} {now})
                        {*} 1000000::pg_catalog.float8)::pg_catalog.int8
                END AS life,
                pg_catalog.octet_length(response) AS size,
                pg_catalog.octet_length(COALESCE(steps, ''::pg_catalog.bytea)) AS steps_size,
                parked,
                parked IS NOT NULL AND lease_until {<=} {now} AS is_parked,
                {age} AS age,
                expires_at {>} {now} AS is_live
            FROM {table}
            WHERE key {>} $1::pg_catalog.bytea
            ORDER BY key
            LIMIT $2::pg_catalog.int8
        ) AS looked_at
    ) AS numbered
) AS judged
WHERE is_match OR is_end
ORDER BY number)sql";

// As the records lie on the disk. The clock is read once: a table is long.
constexpr auto list_pages_text = R"sql(
WITH listed AS MATERIALIZED (
    SELECT *, (SELECT {now}) AS now
    FROM (
        SELECT key, attempt, lease_until, expires_at, response, steps, parked, {age} AS age
        FROM {table}
        WHERE ctid OPERATOR(pg_catalog.>=) $1::pg_catalog.tid AND ctid OPERATOR(pg_catalog.<) $2::pg_catalog.tid
            AND expires_at {>} (SELECT {now})
            AND ($3::pg_catalog.int8 {<} 0::pg_catalog.int8 OR $3::pg_catalog.int8 {=} {state})
            AND ($4::pg_catalog.int8 {<=} attempt)
            AND ($5::pg_catalog.int8 {=} 0::pg_catalog.int8 OR {is_abandoned})
        OFFSET 0
    ) AS record
    WHERE $6::pg_catalog.int8 {<} 0::pg_catalog.int8 OR age IS NULL
        OR $6::pg_catalog.int8 {*} 1000::pg_catalog.int8 {<=} age
)
SELECT
    attempt,
    (pg_catalog.date_part('epoch', lease_until {-} now) {*} 1000000::pg_catalog.float8)::pg_catalog.int8,
    (pg_catalog.date_part('epoch', expires_at {-} now) {*} 1000000::pg_catalog.float8)::pg_catalog.int8,
    pg_catalog.octet_length(response),
    pg_catalog.octet_length(COALESCE(steps, ''::pg_catalog.bytea)),
    parked,
    parked IS NOT NULL AND lease_until {<=} now,
    age,
    key
FROM listed
UNION ALL
SELECT NULL::pg_catalog.int4, pg_catalog.pg_relation_size({literal}::pg_catalog.regclass)
        OPERATOR(pg_catalog./) pg_catalog.current_setting('block_size')::pg_catalog.int8,
    NULL::pg_catalog.int8, NULL::pg_catalog.int4, NULL::pg_catalog.int4, NULL::pg_catalog.bytea, NULL::pg_catalog.bool,
    NULL::pg_catalog.int8, NULL::pg_catalog.bytea)sql";

/// The number of a `record_state`.
constexpr auto state = R"sql(CASE
        WHEN response IS NOT NULL THEN 1::pg_catalog.int8
        WHEN parked IS NOT NULL AND lease_until {<=} (SELECT {now}) THEN 2::pg_catalog.int8
        ELSE 0::pg_catalog.int8
    END)sql";

/// In flight, and nobody works on it.
constexpr auto is_abandoned = R"sql((response IS NULL AND parked IS NULL AND attempt {>} 0::pg_catalog.int4
        AND lease_until {<=} (SELECT {now})))sql";

// One walk through the table, which the server may share among its workers.
constexpr auto count_text = R"sql(
SELECT
    pg_catalog.count(*),
    pg_catalog.count(*) FILTER (WHERE response IS NULL
        AND NOT (parked IS NOT NULL AND lease_until {<=} pg_catalog.statement_timestamp())),
    pg_catalog.count(*) FILTER (WHERE response IS NULL AND parked IS NULL AND attempt {>} 0::pg_catalog.int4
        AND lease_until {<=} pg_catalog.statement_timestamp()),
    pg_catalog.count(response),
    pg_catalog.count(*) FILTER (WHERE response IS NULL AND parked IS NOT NULL
        AND lease_until {<=} pg_catalog.statement_timestamp()),
    COALESCE(pg_catalog.sum(pg_catalog.octet_length(response)), 0::pg_catalog.int8),
    COALESCE(pg_catalog.max(attempt), 0::pg_catalog.int4)
FROM {table}
WHERE expires_at {>} pg_catalog.statement_timestamp())sql";

// Since the transaction that has written the row, in microseconds.
constexpr std::string_view age = R"sql(CASE
        WHEN pg_catalog.current_setting('track_commit_timestamp') {=} 'on'::pg_catalog.text THEN
            (pg_catalog.date_part('epoch', {now} {-} pg_catalog.pg_xact_commit_timestamp(xmin))
                {*} 1000000::pg_catalog.float8)::pg_catalog.int8
    END)sql";

constexpr auto forget_text = R"sql(
WITH unmarked AS ({unmarked}), forgotten AS (
    UPDATE {table} AS record SET lease_until = {now}, expires_at = '-infinity'::pg_catalog.timestamptz, response = NULL,
        steps = NULL, parked = NULL, remember = NULL
    WHERE record.key {=} $1::pg_catalog.bytea AND (record.expires_at {>} {now} OR {is_remembered}) AND {settings}
    RETURNING 1
)
SELECT 1 FROM unmarked UNION ALL SELECT 1 FROM forgotten)sql";

// Without one it is null, which takes no room.
constexpr auto remember = "CASE WHEN remember {>} 0::pg_catalog.int8 THEN remember END";
constexpr auto remember_one = "CASE WHEN $6::pg_catalog.int8 {>} 0::pg_catalog.int8 THEN $6::pg_catalog.int8 END";

std::string with_operators(std::string_view text) {
    return filled(text, {{"=", "OPERATOR(pg_catalog.=)"},
                         {"<=", "OPERATOR(pg_catalog.<=)"},
                         {"<", "OPERATOR(pg_catalog.<)"},
                         {">", "OPERATOR(pg_catalog.>)"},
                         {"+", "OPERATOR(pg_catalog.+)"},
                         {"-", "OPERATOR(pg_catalog.-)"},
                         {"*", "OPERATOR(pg_catalog.*)"},
                         {"||", "OPERATOR(pg_catalog.||)"},
                         {"now", "pg_catalog.clock_timestamp()"},
                         {"ms", "'1 millisecond'::pg_catalog.interval"}});
}

}  // namespace

std::string marks_table(std::string const& table) {
    if (!table.ends_with('"')) return table + "_marks";
    return table.substr(0, table.size() - 1) + "_marks\"";
}

std::string count_statement(std::string const& table) { return filled(with_operators(count_text), {{"table", table}}); }

statements::statements(std::string const& table, std::chrono::milliseconds lock_timeout) {
    auto const made = [&](std::string_view text) {
        auto whole = filled(text, {{"held", held},
                                   {"unexpired", unexpired},
                                   {"settings", settings},
                                   {"first_attempt", first_attempt},
                                   {"remember", remember},
                                   {"remember_one", remember_one},
                                   {"unmarked", unmarked},
                                   {"is_remembered", is_remembered}});
        whole = filled(
            whole, {{"set", set}, {"is_not_parked", is_not_parked}, {"is_left", is_left}, {"later_end", later_end}});
        whole = filled(whole, {{"age", age}, {"state", state}, {"is_abandoned", is_abandoned}});
        whole = filled(whole, {{"lock_timeout", std::to_string(lock_timeout.count())},
                               {"inline", std::to_string(largest_inline_record)}});
        return filled(with_operators(whole),
                      {{"table", table}, {"marks", marks_table(table)}, {"literal", quoted_string(table)}});
    };
    auto const made_claim = [&](std::string_view or_is_over, std::string_view or_takeover) {
        auto const text = filled(claim_text, {{"or_is_over", or_is_over}, {"or_takeover", or_takeover}});
        return claim_statement{
            made(filled(text, {{"has_mark", "false"}, {"and_is_forgotten", ""}})),
            made(filled(text, {{"has_mark", has_mark}, {"and_is_forgotten", "AND NOT {is_remembered}"}}))};
    };
    claim = made_claim("OR found.is_over AND found.reason IS NULL",
                       "OR record.lease_until {<=} {now} AND record.parked IS NULL");
    claim_without_takeover =
        made_claim("OR found.is_over AND found.attempt {=} 0 AND found.reason IS NULL",
                   "OR record.lease_until {<=} {now} AND record.attempt {=} 0 AND record.parked IS NULL");
    claim_parked = made_claim("OR found.is_over", "OR record.lease_until {<=} {now}");
    std::string const known = complete_of_a_known_key;
    complete = {made(complete_many + known), made(complete_one + known)};
    renew = made(renew_text);
    save_step = made(save_step_text);
    park = made(park_text);
    std::string const settled_until = "{now} {+} ($3::pg_catalog.int8::pg_catalog.float8 {*} {ms})";
    settle = made(filled(settle_text, {{"attempt", "record.attempt"},
                                       {"expires_at", settled_until},
                                       {"response", "$4::pg_catalog.bytea"},
                                       {"steps", "NULL"},
                                       {"kept_remember", "record.remember"},
                                       {"with_unmarked", ""}}));
    // With steps it may have had an effect, and is used. Otherwise the key is new, and what comes late from an earlier
    // attempt finds no record.
    free = made(filled(settle_text, {{"attempt", "0"},
                                     {"expires_at", "CASE WHEN record.steps IS NULL THEN "
                                                    "'-infinity'::pg_catalog.timestamptz ELSE " +
                                                        settled_until + " END"},
                                     {"response", "NULL"},
                                     {"steps", "record.steps"},
                                     {"kept_remember", "CASE WHEN record.steps IS NOT NULL THEN record.remember END"},
                                     {"with_unmarked", "\nWITH unmarked AS ({unmarked})"}}));
    abandon = made(abandon_text);
    read = made(read_text);
    fetch = made(fetch_text);
    peek = made(peek_text);
    forget = made(forget_text);
    list = made(list_text);
    list_pages = made(list_pages_text);
}

}  // namespace idempo::postgres
