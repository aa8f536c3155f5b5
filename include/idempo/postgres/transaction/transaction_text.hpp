// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/transaction/transactional_options.hpp>

#include <idempo/identifiers.hpp>
#include <idempo/postgres/connection/pipeline.hpp>
#include <idempo/store.hpp>

#include <array>
#include <cstddef>
#include <string>

namespace idempo::postgres {

/// What one request's transaction sends: each member returns one message, whatever it takes.
///
/// Names are those of `pg_catalog`, so that nobody who may create functions, operators or types is asked. The savepoint
/// has a name that nobody can guess: where the handler ended our transaction and began another, RELEASE fails.
class transaction_text {
public:
    /// \param table quoted, with its schema
    transaction_text(std::string const& table, transactional_options const& options);

    /// Where a message failed, by the number of statements before it.
    static constexpr std::size_t savepoint_place = 0;

    /// Before the handler. Returns one table: `lock_columns`, with `is_locked` always true.
    /// \param checks_client whether the server knows `client_connection_check_interval`
    [[nodiscard]] message open(bool checks_client) const;

    /// Before the handler of a request with a key. Returns two tables: `lock_columns` and `record_columns`, the latter
    /// first where `looks_first()`.
    [[nodiscard]] message claim(claim_request const& request, bool checks_client) const;

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
        /// Null where there is a mark of the key, and no record.
        static constexpr int attempt = 2;
        static constexpr int lease_remaining = 3;
        static constexpr int is_completed = 4;
        static constexpr int record = 5;
    };
    /// What `lock_columns::isolation` must be.
    [[nodiscard]] std::string const& isolation() const noexcept { return isolation_name_; }

    /// After the handler: all or nothing. This and what follows makes the session what it was before the handler, in
    /// the same message: a pooler must see both as one, and the server has a third less to do than with a message of
    /// its own. Fails at `insert_place` with a division by zero where another request's record is there.
    [[nodiscard]] message complete(complete_request const& request, bool keeps_rows) const;
    static constexpr std::size_t insert_place = 1;
    static constexpr std::size_t complete_commit_place = 2;

    /// After the handler of a request without a key.
    [[nodiscard]] message commit() const;
    static constexpr std::size_t commit_place = 1;

    /// After the handler: nothing. Fails at `savepoint_place` where the handler has ended the transaction.
    [[nodiscard]] message roll_back() const;

    /// Ends a transaction in which no handler ran.
    [[nodiscard]] message end() const { return {{&rollback_}}; }

    /// The same after a handler ran and something failed.
    [[nodiscard]] message clean_up() const { return with_reset(end()); }

    /// In an open transaction, before the handler: the tables of `claim` for another key, the lock first. The lock is
    /// held to the end. \pre not `looks_first()`
    [[nodiscard]] message peek(store_key const& key, bool checks_client) const;

    /// What there is now: the tables of `claim`, the lock first.
    [[nodiscard]] message look(complete_request const& request, bool checks_client) const;

private:
    [[nodiscard]] message with_reset(message all) const;
    [[nodiscard]] statement_call lock(store_key const& key, bool checks_client) const;
    [[nodiscard]] statement_call read(store_key const& key, fingerprint const& of, bool looks_for_mark) const;

    std::string table_;
    transaction_isolation isolation_;
    std::string isolation_name_;

    statement_text begin_;
    statement_text begin_look_;
    /// Without and with the check of the client.
    std::array<statement_text, 2> open_;
    std::array<statement_text, 2> lock_;
    statement_text read_;
    statement_text read_or_mark_;
    statement_text savepoint_;
    statement_text release_;
    statement_text roll_back_to_;
    statement_text insert_;
    statement_text commit_;
    statement_text rollback_;
    std::array<statement_text, 8> reset_;
};

}  // namespace idempo::postgres
