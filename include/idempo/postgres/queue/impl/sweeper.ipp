#pragma once

#include <idempo/postgres/queue/sweeper.hpp>

#include <idempo/postgres/connection/binary_parameters.hpp>

#include <boost/algorithm/string/replace.hpp>

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
    WHERE ctid >= format('(%s,0)', $1::bigint)::tid AND ctid < format('(%s,0)', $1::bigint + {pages})::tid
        AND expires_at <= clock_timestamp()
    LIMIT {rows} FOR UPDATE SKIP LOCKED
), deleted AS (
    DELETE FROM {table}
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM due)) AND expires_at <= clock_timestamp()
        AND set_config('synchronous_commit', 'off', true) IS NOT NULL
    RETURNING 1
)
SELECT count(*), pg_relation_size('{literal}') / current_setting('block_size')::bigint FROM deleted)sql";

}  // namespace

sweeper::sweeper(std::string const& table) : text_(sweep_text) {
    boost::replace_all(text_, "{literal}", boost::replace_all_copy(table, "'", "''"));
    boost::replace_all(text_, "{pages}", std::to_string(pages_in_slice));
    boost::replace_all(text_, "{rows}", std::to_string(rows_in_slice));
    boost::replace_all(text_, "{table}", table);
}

sweeper::slice sweeper::sweep(connection& with) {
    binary_parameters from;
    from.add(next_page_);
    auto const result = with.execute(text_, from);
    auto const row = result[0];
    slice swept{row[0].as<std::size_t>(), false};
    if (swept.deleted == rows_in_slice) return swept;
    next_page_ += pages_in_slice;
    swept.was_last = next_page_ >= row[1].as<std::int64_t>();
    if (swept.was_last) next_page_ = 0;
    return swept;
}

}  // namespace idempo::postgres
