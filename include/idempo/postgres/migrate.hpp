// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/options.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

/// \file
/// For an application's start, or for its deployment: makes the table, and looks whether server and table are fit for
/// use. All of it blocks the calling thread, on a connection of its own.

namespace idempo {

/// Brings the table that the options name, and its schema, to what this version of the library needs; makes them where
/// they are missing. One transaction, under a lock: may be called again, and by many processes at once. Which numbers
/// have been applied stands in a second table, of the same name with `_migrations` behind it.
///
/// Migrations only add what an older version can leave out: every version works on a table that a later one has
/// migrated, so that both may run side by side, and the old one may come back. Whoever may use the table gets the same
/// rights on `<table>_marks` when that is made.
///
/// \returns how many numbers were applied
/// \throws std::invalid_argument where the options make no sense
/// \throws std::runtime_error with a sentence for the operator: not connected, or no permission
std::size_t migrate(postgres_options const& options);

/// What the start-up check found.
struct postgres_check {
    /// As in `SHOW server_version_num`: 150004.
    int server_version = 0;
    /// The number of the last migration; 0 where there is no table.
    int schema_version = 0;
    int needed_schema_version = 0;
    /// A standby, or `default_transaction_read_only`.
    bool is_read_only = false;
    /// Off: what was acknowledged may be lost, or the whole database damaged, when the machine goes down.
    bool has_fsync = true;
    /// The server's default. The store's own transactions use at least `on`.
    std::string synchronous_commit{};
    /// What the role may not do and the store needs: `INSERT on "public"."idempo_records"`. Empty where nothing is.
    std::string missing_rights{};
    /// The server empties such a table after a crash.
    bool is_unlogged = false;

    /// Whether the table has what this version needs. A later version may have added more.
    [[nodiscard]] bool is_migrated() const noexcept { return schema_version >= needed_schema_version; }

    /// Whether the store can work.
    [[nodiscard]] bool is_usable() const noexcept {
        return is_migrated() && !is_read_only && missing_rights.empty() && !is_unlogged;
    }

    /// A sentence for each thing that an operator should know; empty where all is well.
    [[nodiscard]] std::vector<std::string> warnings() const;
};

/// \throws std::invalid_argument where the options make no sense
/// \throws std::runtime_error with a sentence where the server cannot be asked
[[nodiscard]] postgres_check check_postgres(postgres_options const& options);

/// What the table holds that has not expired.
struct postgres_counts {
    std::int64_t records = 0;
    std::int64_t in_flight = 0;
    /// Of those in flight, whose lease has ended. A record that has been freed counts as in flight alone.
    std::int64_t ended_leases = 0;
    std::int64_t completed = 0;
    std::int64_t parked = 0;
    /// Of all answers together.
    std::int64_t record_bytes = 0;
    std::int64_t highest_attempt = 0;
};

/// Counts by one walk through the table in the server: some seconds for ten million records, and more where the table
/// is not in memory. Nobody waits for it, and it holds no lock that a service needs.
/// \throws std::invalid_argument where the options make no sense
/// \throws std::runtime_error with a sentence where the server cannot be asked
[[nodiscard]] postgres_counts count_postgres(postgres_options const& options);

}  // namespace idempo
