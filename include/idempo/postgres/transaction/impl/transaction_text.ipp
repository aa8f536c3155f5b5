// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/transaction/transaction_text.hpp>

#include <idempo/postgres/statements/filled.hpp>
#include <idempo/postgres/statements/lock_number.hpp>

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>

namespace idempo::postgres {

namespace {

/// Only raised: what the application chose may be stricter.
constexpr auto raised_commit = "pg_catalog.set_config('synchronous_commit', CASE WHEN "
                               "pg_catalog.current_setting('synchronous_commit') OPERATOR(pg_catalog.=) 'remote_apply' "
                               "THEN 'remote_apply' ELSE 'on' END, true)";

constexpr auto checks = "SELECT {lock}, pg_catalog.current_setting('transaction_isolation'), "
                        "pg_catalog.current_setting('transaction_read_only') OPERATOR(pg_catalog.=) 'on', ";

constexpr auto transactional_read_text = R"sql(
SELECT
    pg_catalog.encode(token, 'hex'),
    pg_catalog.encode(fingerprint, 'hex'),
    attempt,
    (pg_catalog.date_part('epoch', lease_until OPERATOR(pg_catalog.-) pg_catalog.clock_timestamp())
        OPERATOR(pg_catalog.*) 1000000::pg_catalog.float8)::pg_catalog.int8,
    response IS NOT NULL,
    CASE WHEN fingerprint OPERATOR(pg_catalog.=) {fingerprint} THEN pg_catalog.encode(response, 'hex') END
FROM {table}
WHERE key OPERATOR(pg_catalog.=) {key} AND expires_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp())sql";

// What has expired is as good as absent. Where nothing is inserted, the division fails, and with it what follows in the
// message.
constexpr auto transactional_insert_text = R"sql(
WITH made AS (
    INSERT INTO {table} AS record (key, token, fingerprint, attempt, lease_until, expires_at, response)
    VALUES (
        {key}, {token}, {fingerprint}, 1, pg_catalog.clock_timestamp(),
        pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+)
            ({retention}::pg_catalog.float8 OPERATOR(pg_catalog.*) '1 millisecond'::pg_catalog.interval),
        {response}
    )
    ON CONFLICT (key) DO UPDATE SET
        token = excluded.token,
        fingerprint = excluded.fingerprint,
        attempt = 1,
        lease_until = excluded.lease_until,
        expires_at = excluded.expires_at,
        response = excluded.response
    WHERE record.expires_at OPERATOR(pg_catalog.<=) pg_catalog.clock_timestamp()
    RETURNING 1
)
SELECT 1::pg_catalog.int8 OPERATOR(pg_catalog./) pg_catalog.count(*) FROM made)sql";

// What DISCARD ALL does, but for prepared statements, which hold no data, and of which libpqxx keeps a list. Each
// session may do this within a transaction.
constexpr auto reset_text = "BEGIN; SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; RESET ALL; CLOSE ALL; UNLISTEN *; "
                            "DISCARD TEMP; DISCARD SEQUENCES; SELECT pg_catalog.pg_advisory_unlock_all(); COMMIT";

std::string name_of(transaction_isolation isolation) {
    switch (isolation) {
    case transaction_isolation::read_committed: return "read committed";
    case transaction_isolation::repeatable_read: return "repeatable read";
    case transaction_isolation::serializable: return "serializable";
    }
    return {};
}

std::string milliseconds_of(std::chrono::milliseconds span) { return std::to_string(span.count()); }

}  // namespace

transaction_text::transaction_text(std::string table, transactional_options const& options)
    : table_(std::move(table)),
      isolation_(options.isolation),
      isolation_name_(name_of(options.isolation)),
      settings_("SET LOCAL statement_timeout = " + milliseconds_of(options.handler_timeout) +
                "; SET LOCAL idle_in_transaction_session_timeout = " + milliseconds_of(options.handler_timeout)),
      lock_timeout_("SET LOCAL lock_timeout = " + milliseconds_of(options.database.operation_timeout)),
      reset_(reset_text) {}

std::string transaction_text::begin(std::string const& lock, bool checks_client) const {
    auto text = "BEGIN ISOLATION LEVEL " + isolation_name_ + "; " + settings_;
    if (checks_client) text += "; SET LOCAL client_connection_check_interval = 1000";
    return text + "; " + filled(checks, {{"lock", lock}}) + raised_commit;
}

std::string transaction_text::lock(store_key const& key) const {
    return "pg_catalog.pg_try_advisory_xact_lock('" + std::to_string(lock_number("request", table_, key.view())) +
           "'::pg_catalog.int8)";
}

std::string transaction_text::read(store_key const& key, fingerprint const& of) const {
    return filled(transactional_read_text, {{"fingerprint", quoted_bytes(of.view())},  //
                                            {"key", quoted_bytes(key.view())},
                                            {"table", table_}});
}

std::string transaction_text::open(std::string const& savepoint, bool checks_client) const {
    return begin("true", checks_client) + "; SAVEPOINT " + savepoint;
}

std::string transaction_text::claim(claim_request const& request, std::string const& savepoint,
                                    bool checks_client) const {
    auto const begun = begin(lock(request.key), checks_client);
    auto const looked = read(request.key, request.fingerprint);
    auto const saved = "; SAVEPOINT " + savepoint;
    if (!looks_first()) return begun + "; " + looked + saved;
    return "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; " + looked + "; COMMIT; " + begun + saved;
}

std::string transaction_text::complete(complete_request const& request, std::string const& savepoint,
                                       bool keeps_rows) const {
    constexpr std::chrono::milliseconds longest = std::chrono::years{1000};
    auto const retention = std::clamp(request.retention, std::chrono::milliseconds::zero(), longest);
    auto const inserted = filled(transactional_insert_text, {{"table", table_},
                                                             {"key", quoted_bytes(request.key.view())},
                                                             {"token", quoted_bytes(request.token.view())},
                                                             {"fingerprint", quoted_bytes(request.fingerprint.view())},
                                                             {"retention", milliseconds_of(retention)},
                                                             {"response", quoted_bytes(request.record.view())}});
    return (keeps_rows ? "RELEASE SAVEPOINT " : "ROLLBACK TO SAVEPOINT ") + savepoint + "; " + lock_timeout_ + "; " +
           inserted + "; COMMIT; " + reset_;
}

std::string transaction_text::commit(std::string const& savepoint) const {
    return "RELEASE SAVEPOINT " + savepoint + "; COMMIT; " + reset_;
}

std::string transaction_text::roll_back(std::string const& savepoint) const {
    return "ROLLBACK TO SAVEPOINT " + savepoint + "; ROLLBACK; " + reset_;
}

std::string transaction_text::look(complete_request const& request) const {
    return "BEGIN ISOLATION LEVEL READ COMMITTED; " + filled(checks, {{"lock", lock(request.key)}}) + "true; " +
           read(request.key, request.fingerprint) + "; COMMIT";
}

}  // namespace idempo::postgres
