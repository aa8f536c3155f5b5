// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/options.hpp>

#include <chrono>
#include <cstddef>
#include <functional>

namespace idempo {

/// As PostgreSQL names them. https://www.postgresql.org/docs/current/transaction-iso.html
enum class transaction_isolation { read_committed, repeatable_read, serializable };

/// How requests become transactions.
struct transactional_options {
    /// Where the records and the handler's own tables are. `operation_timeout` bounds the wait for a connection, all
    /// that comes before the handler, and all that comes after it, each; `max_pending` the requests that wait for a
    /// thread. `workers` is not used.
    postgres_options database{};

    /// Transactions at once: each has a connection, and one of the threads that run the handlers of calls with a
    /// completion token. A handler that takes a second connection of the same server can find it exhausted.
    std::size_t connections = 8;

    /// Of the handler's transaction, whatever the database's default is. With a stricter one PostgreSQL may refuse a
    /// transaction that ran beside another (40001): the answer is 503, and a retry runs.
    transaction_isolation isolation = transaction_isolation::read_committed;

    /// For the handler with all its statements, which are ended when it is over. A process that is killed, or stopped,
    /// has its transaction ended by the server not later than this.
    std::chrono::milliseconds handler_timeout{std::chrono::seconds{10}};

    /// Which statuses commit the handler's rows. For others they are rolled back, and the response is stored
    /// all the same, unless `options::store_if` says no. Empty: those below 400. Overruled by `execution::keep` and
    /// `execution::release`. Rows that are committed always leave a record: where `store_if` says no, a tombstone.
    std::function<bool(unsigned status)> commit_if{};
};

/// \throws std::invalid_argument with a sentence where they make no sense.
void validate(transactional_options const& options);

}  // namespace idempo
