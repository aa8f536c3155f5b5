// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/queue/sweeper.hpp>

#include <idempo/postgres/connection/binary_parameters.hpp>
#include <idempo/postgres/statements/filled.hpp>
#include <idempo/postgres/statements/lock_number.hpp>

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
    WHERE ctid OPERATOR(pg_catalog.>=) $1::pg_catalog.tid AND ctid OPERATOR(pg_catalog.<) $2::pg_catalog.tid
        AND expires_at OPERATOR(pg_catalog.<=) pg_catalog.clock_timestamp()
    LIMIT {rows} FOR UPDATE SKIP LOCKED
), deleted AS (
    DELETE FROM {table}
    WHERE ctid OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT ctid FROM due))
        AND expires_at OPERATOR(pg_catalog.<=) pg_catalog.clock_timestamp()
        AND pg_catalog.set_config('synchronous_commit', 'off', true) IS NOT NULL
    RETURNING 1
)
SELECT pg_catalog.count(*), pg_catalog.pg_relation_size({literal}::pg_catalog.regclass)
    OPERATOR(pg_catalog./) pg_catalog.current_setting('block_size')::pg_catalog.int8
FROM deleted)sql";

constexpr auto lock_text = R"sql(
SELECT CASE
    WHEN pg_catalog.pg_backend_pid()::pg_catalog.int8 OPERATOR(pg_catalog.=) $1::pg_catalog.int8
    THEN pg_catalog.pg_try_advisory_lock($2::pg_catalog.int8)
    ELSE true
END)sql";

/// The first place in a page, as `tidrecv` reads it.
std::string first_in(std::int64_t page) {
    std::string bytes;
    for (int const shift : {24, 16, 8, 0}) bytes += static_cast<char>(static_cast<unsigned char>(page >> shift));
    return bytes + std::string(2, '\0');
}

}  // namespace

sweeper::sweeper(std::string const& table)
    : text_(filled(sweep_text, {{"literal", quoted_string(table)},  //
                                {"rows", std::to_string(rows_in_slice)},
                                {"table", table}})),
      lock_number_(lock_number("sweep", table)) {}

bool sweeper::may_walk(connection& with) const {
    binary_parameters parameters;
    parameters.add(std::int64_t{with.process().number});
    parameters.add(lock_number_);
    return with.execute(lock_text, parameters).flag(0, 0);
}

sweeper::slice sweeper::sweep(connection& with) {
    binary_parameters range;
    range.add(first_in(next_page_));
    range.add(first_in(next_page_ + pages_in_slice));
    auto const rows = with.execute(text_, range);
    slice swept{static_cast<std::size_t>(rows.number(0, 0)), false};
    if (swept.deleted == rows_in_slice) return swept;
    next_page_ += pages_in_slice;
    swept.was_last = next_page_ >= rows.number(0, 1);
    if (swept.was_last) next_page_ = 0;
    return swept;
}

}  // namespace idempo::postgres
