#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace idempo::postgres {

/// As SQL writes a name.
[[nodiscard]] std::string quoted_name(std::string_view name);

/// The text of a statement for many rows, given as arrays, and for one, which the server plans faster.
struct row_statement {
    std::string many;
    std::string one;
};

/// The SQL of the store. Parameters are binary: keys, tokens, fingerprints and records as bytea, spans as milliseconds
/// in a bigint; for many rows each is an array, in the order of the keys.
///
/// All of it is made of three ideas:
///
/// - A statement is a transaction of its own, in autocommit. It sets what it needs for itself (`set_config(…, true)`).
/// - Rows are written only by `INSERT … ON CONFLICT DO UPDATE … WHERE`, which locks them in the given order, whatever
/// the
///   planner chooses. An expired row is treated as absent.
/// - If a row returns nothing, `read` finds out why, in a statement of its own, since only that sees what others have
///   committed meanwhile.
struct statements {
    /// \param table quoted, with its schema
    /// \param lock_timeout how long a statement waits for a row that another session has locked
    statements(std::string const& table, std::chrono::milliseconds lock_timeout);

    /// Keys, tokens, fingerprints, leases, and how long the records live. Returns key (hexadecimal) and attempt of
    /// those that were granted.
    row_statement claim;
    row_statement claim_without_takeover;

    /// Keys, tokens, fingerprints, retentions, records. Returns the keys of those that were stored.
    row_statement complete;

    /// Keys, tokens, leases. Returns the keys of those that are still held.
    std::string renew;

    /// Keys, tokens.
    std::string abandon;

    /// Keys, tokens, fingerprints. Returns for each unexpired record: its place among the keys (from 1), whether
    /// token and fingerprint are the same, attempt, what is left of the lease in microseconds, whether it is completed,
    /// and the stored bytes (hexadecimal) where it is and the fingerprint is the same.
    std::string read;

    /// Key. Returns attempt, what is left of lease and life in microseconds, and the size of the record, null in
    /// flight.
    std::string peek;

    /// Key. Returns a row where there was an unexpired record.
    std::string forget;
};

}  // namespace idempo::postgres
