// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/queue/sweeper.hpp>

#include <idempo/postgres/connection/binary_parameters.hpp>
#include <idempo/postgres/queue/page_walk.hpp>
#include <idempo/postgres/statements/filled.hpp>
#include <idempo/postgres/statements/lock_number.hpp>
#include <idempo/postgres/statements/statements.hpp>

#include <string>

namespace idempo::postgres {

namespace {

/// A quarter of a megabyte: a few milliseconds, also from a slow disk.
constexpr std::int64_t pages_in_slice = 32;
/// So many row locks at most. Pages with more are visited again.
constexpr std::size_t rows_in_slice = 1000;

// What is expired stays expired unless somebody claims it, and that needs the row's lock. The second look at expires_at
// costs nothing, and needs no thought about which version of a row the first one has seen.
constexpr auto sweep_text = R"sql(
WITH due AS MATERIALIZED (
    SELECT ctid FROM {table}
    WHERE ctid OPERATOR(pg_catalog.>=) $1::pg_catalog.tid AND ctid OPERATOR(pg_catalog.<) $2::pg_catalog.tid AND {is_due}
    LIMIT {rows} FOR UPDATE SKIP LOCKED
), deleted AS (
    DELETE FROM {table}
    WHERE ctid OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT ctid FROM due)) AND {is_due}
        AND pg_catalog.set_config('synchronous_commit', 'off', true) IS NOT NULL
    RETURNING {returned}
){and_marked}
SELECT pg_catalog.count(*), pg_catalog.pg_relation_size({literal}::pg_catalog.regclass)
    OPERATOR(pg_catalog./) pg_catalog.current_setting('block_size')::pg_catalog.int8
FROM deleted)sql";

// A claim that has just found a record unexpired takes it over where it is, and not where it was: a record that leaves
// a mark stays for longer than any statement lasts.
constexpr auto is_record_due = R"sql(expires_at OPERATOR(pg_catalog.<=) (pg_catalog.clock_timestamp()
            OPERATOR(pg_catalog.-) CASE WHEN remember IS NULL THEN '0' ELSE '{grace}' END::pg_catalog.interval))sql";
constexpr auto is_mark_due = "until OPERATOR(pg_catalog.<=) pg_catalog.clock_timestamp()";

constexpr auto leave_marks = R"sql(, used AS (
    SELECT pg_catalog.substr(key, 1, 16) AS key_prefix,
        expires_at OPERATOR(pg_catalog.+) (remember::pg_catalog.float8
            OPERATOR(pg_catalog.*) '1 millisecond'::pg_catalog.interval) AS until
    FROM deleted WHERE remember IS NOT NULL
), marked AS (
    INSERT INTO {marks} AS mark (until, key_prefix)
    SELECT until, key_prefix FROM used WHERE until OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()
    ON CONFLICT (key_prefix) DO UPDATE SET until = GREATEST(mark.until, excluded.until)
))sql";

constexpr auto lock_text = R"sql(
SELECT CASE
    WHEN pg_catalog.pg_backend_pid()::pg_catalog.int8 OPERATOR(pg_catalog.=) $1::pg_catalog.int8
    THEN pg_catalog.pg_try_advisory_lock($2::pg_catalog.int8)
    ELSE true
END)sql";

}  // namespace

sweeper::sweeper(std::string const& table, std::chrono::milliseconds grace)
    : lock_number_(lock_number("sweep", table)) {
    auto const made = [](std::string const& of, std::string_view is_due, std::string_view returned,
                         std::string_view and_marked) {
        return filled(sweep_text, {{"literal", quoted_string(of)},
                                   {"rows", std::to_string(rows_in_slice)},
                                   {"table", of},
                                   {"is_due", is_due},
                                   {"returned", returned},
                                   {"and_marked", and_marked}});
    };
    auto const marks = marks_table(table);
    auto const is_due = filled(is_record_due, {{"grace", std::to_string(grace.count()) + " milliseconds"}});
    walks_ = {walk{made(table, is_due, "key, expires_at, remember", filled(leave_marks, {{"marks", marks}}))},
              walk{made(marks, is_mark_due, "1", "")}};
}

bool sweeper::may_walk(connection& with) const {
    binary_parameters parameters;
    parameters.add(std::int64_t{with.process().number});
    parameters.add(lock_number_);
    return with.execute(lock_text, parameters).flag(0, 0);
}

sweeper::slice sweeper::sweep(connection& with) {
    auto& present = walks_[present_];
    binary_parameters range;
    range.add(first_place_in(present.next_page));
    range.add(first_place_in(present.next_page + pages_in_slice));
    auto const rows = with.execute(present.text, range);
    slice swept{static_cast<std::size_t>(rows.number(0, 0)), false};
    if (swept.deleted == rows_in_slice) return swept;
    present.next_page += pages_in_slice;
    if (present.next_page < rows.number(0, 1)) return swept;
    present.next_page = 0;
    present_ = (present_ + 1) % walks_.size();
    swept.was_last = present_ == 0;
    return swept;
}

}  // namespace idempo::postgres
