// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/statements/filled.hpp>

#include <chrono>
#include <cstddef>
#include <string>

namespace idempo::postgres {

/// The text of a statement for many rows, given as arrays, and for one, which the server plans faster.
struct row_statement {
    std::string many;
    std::string one;
};

/// A claim that looks for no mark of a used key, and the same that does.
struct claim_statement {
    std::string plain;
    std::string remembering;
};

/// The table of the marks of used keys, beside that of the records: a key's first 16 bytes, and when the mark ends.
/// \param table with its schema, quoted where it needs to be
[[nodiscard]] std::string marks_table(std::string const& table);

/// Records of at most so many bytes come with the answer to a claim; longer ones are fetched by themselves, so that the
/// bytes of an answer are known before it is asked for.
inline constexpr std::size_t largest_inline_record = 8192;

/// Without parameters: the number of records, of those in flight, of those among them whose lease has ended, of
/// completed and of parked ones, the bytes of all answers, and the highest attempt.
[[nodiscard]] std::string count_statement(std::string const& table);

/// The columns of `statements::claim` and `statements::read`.
struct record_columns {
    static constexpr int key = 0;
    /// Null where there is a mark, and no record.
    static constexpr int attempt = 1;
    /// Null where the claim was granted.
    static constexpr int token = 2;
    static constexpr int fingerprint = 3;
    /// Microseconds.
    static constexpr int lease_remaining = 4;
    /// Of the stored bytes; null in flight.
    static constexpr int size = 5;
    /// Null where it is longer than `largest_inline_record`. Of a granted claim its steps, or null.
    static constexpr int record = 6;
    /// The reason of a parked record; null of any other.
    static constexpr int reason = 7;
};

/// The SQL of the store. Parameters and results are binary: keys, tokens, fingerprints and records as bytea, spans as
/// milliseconds in a bigint; for many rows each is an array, in the order of the keys.
///
/// All of it is made of four ideas:
///
/// - A statement is a transaction of its own, in autocommit. It sets what it needs for itself (`set_config(…, true)`).
/// - Rows are written by `INSERT … ON CONFLICT DO UPDATE … WHERE` alone, which locks them in the order in which they
///   are given, whatever the planner thinks. A row whose life has ended is as good as absent.
/// - `ON CONFLICT` locks a row also where its WHERE is false. So a claim looks first, in the same statement, and one
///   that meets a record writes nothing.
/// - Everything is named with its schema and has its exact type. A function or an operator that somebody else has
///   created is never better than the one of `pg_catalog`.
struct statements {
    /// \param table quoted, with its schema
    /// \param lock_timeout how long a statement waits for a row that another session has locked
    statements(std::string const& table, std::chrono::milliseconds lock_timeout);

    /// Keys, tokens, fingerprints, leases, how long the records live, and for how long marks outlive them. Returns
    /// `record_columns` for each key: granted, or what is in the way. Nothing for a key on which another session was
    /// faster: ask again.
    claim_statement claim;
    claim_statement claim_without_takeover;
    /// Takes parked ones over, too.
    claim_statement claim_parked;

    /// Keys, tokens, fingerprints, retentions, records, and for how long marks outlive them. Returns the keys of those
    /// that were stored.
    row_statement complete;

    /// Keys, tokens, leases. Returns the keys of those that are still held.
    std::string renew;

    /// Key, token, offset, step. Returns a row where the step is kept.
    std::string save_step;

    /// Key, token, fingerprint, retention, reason, and for how long a mark outlives the record. Returns a row where the
    /// record is parked.
    std::string park;

    /// Key, attempt, retention, response. Returns a row where that record was parked, or its lease had ended.
    std::string settle;
    /// Key, attempt, retention.
    std::string free;

    /// Keys, tokens. What an attempt above the first gives up keeps its number, and its steps.
    std::string abandon;

    /// Keys. Returns `record_columns` for each unexpired record.
    std::string read;

    /// Keys, tokens. Returns key and stored bytes of each record that still has that fencing token.
    std::string fetch;

    /// Key. Returns attempt, what is left of lease and life in microseconds, the size of the record, null in flight,
    /// that of its steps, the reason, null where it is none, whether the record is parked, and since when the row is as
    /// it is, null where the server does not note that (`track_commit_timestamp`); and whether it is a mark of an
    /// expired record, which tells its life only. At most one row of a record, and in any order.
    std::string peek;

    /// A key, how many rows behind it are looked at, and the number of a `record_state`, or -1. Returns for each record
    /// that matches, and for the last row of a page that is not the last, the first eight of `peek`, the key, whether
    /// the record matches, and whether it is that row.
    std::string list;

    /// The places (`tid`) where a range of the table begins and ends, the number of a `record_state` or -1, the least
    /// attempt, 1 for only those whose lease has ended, the least age in milliseconds or -1. Returns for each record
    /// that matches the first eight of `peek` and the key; and a row that has only a second column, how many pages the
    /// table has.
    std::string list_pages;

    /// Key. Returns a row where there was an unexpired record, or a mark.
    std::string forget;
};

}  // namespace idempo::postgres
