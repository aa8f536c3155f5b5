// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/transaction/transaction_text.hpp>

#include <idempo/postgres/connection/statement_name.hpp>
#include <idempo/postgres/statements/filled.hpp>
#include <idempo/postgres/statements/lock_number.hpp>
#include <idempo/postgres/statements/statements.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

namespace idempo::postgres {

namespace {

// `synchronous_commit` is only raised: what the application chose may be stricter.
constexpr auto transactional_lock_text = R"sql(
SELECT
    {lock},
    pg_catalog.current_setting('transaction_isolation'),
    pg_catalog.current_setting('transaction_read_only') OPERATOR(pg_catalog.=) 'on',
    pg_catalog.set_config('synchronous_commit', CASE
        WHEN pg_catalog.current_setting('synchronous_commit') OPERATOR(pg_catalog.=) 'remote_apply' THEN 'remote_apply'
        ELSE 'on'
    END, true),
    pg_catalog.set_config('statement_timeout', '{timeout}', true),
    pg_catalog.set_config('idle_in_transaction_session_timeout', '{timeout}', true){check})sql";

constexpr auto client_check = ", pg_catalog.set_config('client_connection_check_interval', '1000', true)";
constexpr auto try_lock = "pg_catalog.pg_try_advisory_xact_lock($1::pg_catalog.int8)";

constexpr auto transactional_read_text = R"sql(
SELECT
    token,
    fingerprint,
    attempt,
    (pg_catalog.date_part('epoch', lease_until OPERATOR(pg_catalog.-) pg_catalog.clock_timestamp())
        OPERATOR(pg_catalog.*) 1000000::pg_catalog.float8)::pg_catalog.int8,
    response IS NOT NULL,
    CASE WHEN fingerprint OPERATOR(pg_catalog.=) $2::pg_catalog.bytea THEN response END
FROM {table}
WHERE key OPERATOR(pg_catalog.=) $1::pg_catalog.bytea AND expires_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp())sql";

// Beside a record that has not expired: that there is a mark of the key, and none such.
constexpr auto transactional_marks_text = R"sql(
UNION ALL
SELECT NULL, NULL, NULL, NULL, false, NULL
WHERE NOT EXISTS (
    SELECT 1 FROM {table} WHERE key OPERATOR(pg_catalog.=) $1::pg_catalog.bytea
        AND expires_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()
) AND (
    EXISTS (
        SELECT 1 FROM {table} WHERE key OPERATOR(pg_catalog.=) $1::pg_catalog.bytea
            AND expires_at OPERATOR(pg_catalog.+) (remember::pg_catalog.float8
                OPERATOR(pg_catalog.*) '1 millisecond'::pg_catalog.interval)
                OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()
    ) OR EXISTS (
        SELECT 1 FROM {marks}
        WHERE key_prefix OPERATOR(pg_catalog.=) pg_catalog.substr($1::pg_catalog.bytea, 1, 16)
            AND until OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()
    )
))sql";

// What has expired is as good as absent. Where another record is there, the division fails, and with it what follows in
// the message. The limit of the wait for its row is set in a value that the row needs before it can be locked.
constexpr auto transactional_insert_text = R"sql(
INSERT INTO {table} AS record (key, token, fingerprint, attempt, lease_until, expires_at, response, remember)
VALUES (
    $1::pg_catalog.bytea, $2::pg_catalog.bytea, $3::pg_catalog.bytea,
    CASE WHEN pg_catalog.set_config('lock_timeout', '{lock_timeout}', true) IS NOT NULL THEN 1 END,
    pg_catalog.clock_timestamp(),
    pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) ($4::pg_catalog.int8::pg_catalog.float8
        OPERATOR(pg_catalog.*) '1 millisecond'::pg_catalog.interval),
    $5::pg_catalog.bytea,
    CASE WHEN $6::pg_catalog.int8 OPERATOR(pg_catalog.>) 0::pg_catalog.int8 THEN $6::pg_catalog.int8 END
)
ON CONFLICT (key) DO UPDATE SET
    token = excluded.token,
    fingerprint = excluded.fingerprint,
    attempt = 1 OPERATOR(pg_catalog./)
        (record.expires_at OPERATOR(pg_catalog.<=) pg_catalog.clock_timestamp())::pg_catalog.int4,
    lease_until = excluded.lease_until,
    expires_at = excluded.expires_at,
    response = excluded.response,
    steps = NULL,
    parked = NULL,
    remember = excluded.remember)sql";

std::string name_of(transaction_isolation isolation) {
    switch (isolation) {
    case transaction_isolation::read_committed: return "read committed";
    case transaction_isolation::repeatable_read: return "repeatable read";
    case transaction_isolation::serializable: return "serializable";
    }
    return {};
}

std::string milliseconds_of(std::chrono::milliseconds span) { return std::to_string(span.count()); }

std::string locking(std::string_view lock, std::chrono::milliseconds timeout, bool checks_client) {
    return filled(
        transactional_lock_text,
        {{"lock", lock}, {"timeout", milliseconds_of(timeout)}, {"check", checks_client ? client_check : ""}});
}

statement_text named(std::string text) {
    auto name = statement_name(text);
    return {std::move(name), std::move(text)};
}

statement_text planned_anew(std::string text) {
    auto statement = named(std::move(text));
    statement.is_planned_anew = true;
    return statement;
}

}  // namespace

transaction_text::transaction_text(std::string const& table, transactional_options const& options)
    : table_(table),
      isolation_(options.isolation),
      isolation_name_(name_of(options.isolation)),
      begin_(named("BEGIN ISOLATION LEVEL " + isolation_name_)),
      begin_look_(named("BEGIN ISOLATION LEVEL READ COMMITTED")),
      open_{named(locking("true", options.handler_timeout, false)),
            named(locking("true", options.handler_timeout, true))},
      lock_{named(locking(try_lock, options.handler_timeout, false)),
            named(locking(try_lock, options.handler_timeout, true))},
      read_(planned_anew(filled(transactional_read_text, {{"table", table}}))),
      read_or_mark_(planned_anew(filled(std::string(transactional_read_text) + transactional_marks_text,
                                        {{"table", table}, {"marks", marks_table(table)}}))),
      commit_(named("COMMIT")),
      rollback_(named("ROLLBACK")),
      // What DISCARD ALL does, but for prepared statements, which hold no data, and of which libpqxx keeps a list.
      reset_{named("SET SESSION AUTHORIZATION DEFAULT"),
             named("RESET ROLE"),
             named("RESET ALL"),
             named("CLOSE ALL"),
             named("UNLISTEN *"),
             named("DISCARD TEMP"),
             named("DISCARD SEQUENCES"),
             named("SELECT pg_catalog.pg_advisory_unlock_all()")} {
    auto const savepoint = "idempo_" + to_hex(make_fencing_token().view());
    savepoint_ = named("SAVEPOINT " + savepoint);
    release_ = named("RELEASE SAVEPOINT " + savepoint);
    roll_back_to_ = named("ROLLBACK TO SAVEPOINT " + savepoint);
    insert_ = named(filled(transactional_insert_text,
                           {{"table", table}, {"lock_timeout", milliseconds_of(options.database.operation_timeout)}}));
}

statement_call transaction_text::lock(store_key const& key, bool checks_client) const {
    statement_call call{&lock_[checks_client ? 1 : 0]};
    call.parameters.add(lock_number("request", table_, key.view()));
    return call;
}

statement_call transaction_text::read(store_key const& key, fingerprint const& of, bool looks_for_mark) const {
    statement_call call{looks_for_mark ? &read_or_mark_ : &read_};
    call.parameters.add(key.view());
    call.parameters.add(of.view());
    return call;
}

message transaction_text::open(bool checks_client) const {
    return {{&begin_}, {&open_[checks_client ? 1 : 0]}, {&savepoint_}};
}

message transaction_text::claim(claim_request const& request, bool checks_client) const {
    auto locked = lock(request.key, checks_client);
    auto looked = read(request.key, request.fingerprint, request.remember > std::chrono::milliseconds::zero());
    if (!looks_first()) return {{&begin_}, std::move(locked), std::move(looked), {&savepoint_}};
    return {{&begin_look_}, std::move(looked), {&commit_}, {&begin_}, std::move(locked), {&savepoint_}};
}

message transaction_text::complete(complete_request const& request, bool keeps_rows) const {
    auto const span = [](std::chrono::milliseconds given) {
        constexpr std::chrono::milliseconds longest = std::chrono::years{1000};
        return std::int64_t{std::clamp(given, std::chrono::milliseconds::zero(), longest).count()};
    };
    statement_call insert{&insert_};
    insert.parameters.add(request.key.view());
    insert.parameters.add(request.fencing_token.view());
    insert.parameters.add(request.fingerprint.view());
    insert.parameters.add(span(request.retention));
    insert.parameters.add(request.record.view());
    insert.parameters.add(span(request.remember));
    return with_reset({{keeps_rows ? &release_ : &roll_back_to_}, std::move(insert), {&commit_}});
}

message transaction_text::commit() const { return with_reset({{&release_}, {&commit_}}); }

message transaction_text::roll_back() const { return with_reset({{&roll_back_to_}, {&rollback_}}); }

message transaction_text::with_reset(message all) const {
    for (auto const& each : reset_) all.push_back({&each});
    return all;
}

message transaction_text::peek(store_key const& key, bool checks_client) const {
    return {lock(key, checks_client), read(key, {}, true)};
}

message transaction_text::look(complete_request const& request, bool checks_client) const {
    return {
        {&begin_look_}, lock(request.key, checks_client), read(request.key, request.fingerprint, false), {&commit_}};
}

}  // namespace idempo::postgres
