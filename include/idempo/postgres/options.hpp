// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace idempo {

/// What may be wrong with a PostgreSQL server, or with the way to it.
enum class postgres_problem {
    none,
    /// Not resolved, refused, timed out, not permitted, or out of connection slots.
    unreachable,
    /// A connection that worked has ended, or was given up since it did not answer in time.
    lost,
    /// A standby, or `default_transaction_read_only`.
    read_only,
    /// A statement failed for another reason; `sqlstate` tells which.
    statement_failed,
    /// A server process still waits for what a statement that timed out needs, such as a standby. No other connection
    /// takes its place until it has ended.
    busy,
    /// Transactional mode: a handler has ended its transaction itself, and what it did cannot be undone.
    transaction_ended,
};

/// A sentence for a log.
[[nodiscard]] std::string_view to_string(postgres_problem problem) noexcept;

/// Told when a connection is ready (`problem` is `none`), when an attempt to connect has failed, when a connection is
/// lost, and when a statement has failed.
struct postgres_event {
    postgres_problem problem = postgres_problem::none;
    /// The five characters by which PostgreSQL names an error, where it named one. Nothing of its text, which may quote
    /// data.
    std::string sqlstate{};
    /// Where an attempt to connect has failed: libpq's words for each address. They hold no password.
    std::string detail{};
};

/// Where the server is, and how the store uses it.
struct postgres_options {
    /// A libpq connection string or URI: `host=db user=app dbname=shop`, `postgresql://app@db/shop`. What it does not
    /// say comes from libpq's environment variables. With several hosts, add `target_session_attrs=read-write`.
    std::string connection{};
    std::string schema = "public";
    /// As `migrate` has made it.
    std::string table = "idempo_records";

    /// Threads, each with a connection of its own. Two keep the server busy: while one waits for its batch, the next
    /// batch gathers for the other.
    std::size_t workers = 2;
    /// For a connection to one address, with all its questions and answers; the next address follows, and the attempt
    /// after that begins with the one that worked last. Only the system bounds how long a host name takes to resolve.
    std::chrono::milliseconds connect_timeout{1000};
    /// Of an operation, from the call to its answer. Less than half of the shortest lease, or its answer may be too
    /// late to be of use. A row that another session has locked is waited for during a fifth of it. Operations that
    /// wait while large records are on the move have this time from the last one that moved, ten times it at most.
    std::chrono::milliseconds operation_timeout{1000};
    /// Operations that may wait or run at once; one more is refused with `error::store_unavailable`.
    std::size_t max_pending = 10'000;
    /// The bytes of the records in them; more are refused likewise.
    std::size_t max_pending_bytes = std::size_t{1} << 30;
    /// The pause after each walk through the table, in which one more thread deletes what has expired, a few pages at a
    /// time. One process walks at a time, unless they share a pooler's connections. Zero: none here.
    std::chrono::milliseconds sweep_interval{60'000};
    /// Called on the store's own threads, for one connection at a time; what it throws is swallowed.
    std::function<void(postgres_event const&)> observer{};
};

/// The options that a URL stands for, in addition to `others`: a URI as libpq reads it, with `postgresql:` or
/// `postgres:`, in which `schema=`, `table=` and `workers=` may stand among the parameters.
/// \throws std::invalid_argument with a sentence that quotes nothing of the URL, since it may hold a password.
[[nodiscard]] postgres_options parse_postgres_url(std::string_view url, postgres_options others = {});

/// \throws std::invalid_argument with a sentence where they make no sense.
void validate(postgres_options const& options);

}  // namespace idempo
