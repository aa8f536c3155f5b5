// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/transaction/transactional_options.hpp>

#include <idempo/identifiers.hpp>
#include <idempo/store.hpp>

#include <cstddef>
#include <string>

namespace idempo::postgres {

/// What one request's transaction sends: each member returns one message, whatever it takes.
///
/// Names are those of `pg_catalog`, so that nobody who may create functions, operators or types is asked. A savepoint
/// has a name that nobody can guess: where the handler ended our transaction and began another, RELEASE fails.
class transaction_text {
public:
    /// \param table quoted, with its schema
    transaction_text(std::string table, transactional_options const& options);

    /// Where a message failed, by the number of statements before it.
    static constexpr std::size_t savepoint_place = 0;

    /// Before the handler. Returns one table: `lock_columns`, with `is_locked` always true.
    /// \param checks_client whether the server knows `client_connection_check_interval`
    [[nodiscard]] std::string open(std::string const& savepoint, bool checks_client) const;

    /// Before the handler of a request with a key. Returns two tables: `lock_columns` and `record_columns`, the latter
    /// first where `looks_first()`.
    [[nodiscard]] std::string claim(claim_request const& request, std::string const& savepoint,
                                    bool checks_client) const;

    /// With a stricter isolation than read committed, one snapshot serves the whole transaction, and two transactions
    /// that look for different keys in one page of the index would conflict. So the look is a transaction of its own
    /// there.
    [[nodiscard]] bool looks_first() const noexcept { return isolation_ != transaction_isolation::read_committed; }

    struct lock_columns {
        static constexpr int is_locked = 0;
        static constexpr int isolation = 1;
        static constexpr int is_read_only = 2;
    };
    struct record_columns {
        static constexpr int token = 0;
        static constexpr int fingerprint = 1;
        static constexpr int attempt = 2;
        static constexpr int lease_remaining = 3;
        static constexpr int is_completed = 4;
        static constexpr int record = 5;
    };
    /// What `lock_columns::isolation` must be.
    [[nodiscard]] std::string const& isolation() const noexcept { return isolation_name_; }

    /// After the handler: all or nothing. Fails at `insert_place` with a division by zero where another request's
    /// record is there.
    [[nodiscard]] std::string complete(complete_request const& request, std::string const& savepoint,
                                       bool keeps_rows) const;
    static constexpr std::size_t insert_place = 2;
    static constexpr std::size_t complete_commit_place = 3;

    /// After the handler of a request without a key.
    [[nodiscard]] std::string commit(std::string const& savepoint) const;
    static constexpr std::size_t commit_place = 1;

    /// After the handler: nothing. Fails at `savepoint_place` where the handler has ended the transaction.
    [[nodiscard]] std::string roll_back(std::string const& savepoint) const;

    /// Ends a transaction in which no handler ran.
    [[nodiscard]] std::string end() const { return "ROLLBACK"; }
    /// The same after a handler ran and something failed.
    [[nodiscard]] std::string clean_up() const { return "ROLLBACK; " + reset_; }

    /// What there is now: the tables of `claim`, the lock first.
    [[nodiscard]] std::string look(complete_request const& request) const;

private:
    [[nodiscard]] std::string begin(std::string const& lock, bool checks_client) const;
    [[nodiscard]] std::string lock(store_key const& key) const;
    [[nodiscard]] std::string read(store_key const& key, fingerprint const& of) const;

    std::string table_;
    transaction_isolation isolation_;
    std::string isolation_name_;
    std::string settings_;
    std::string lock_timeout_;
    std::string reset_;
};

}  // namespace idempo::postgres
