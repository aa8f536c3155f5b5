// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>
#include <idempo/postgres/transaction/transactional_options.hpp>
#include <idempo/store.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace pqxx {
class subtransaction;
}

namespace idempo::postgres {

namespace asio = boost::asio;

/// Connections, the threads that use them, and the keys that are in flight in this process.
class transaction_pool;

/// Its threads belong to the executor's context. \throws std::invalid_argument where the options make no sense
[[nodiscard]] std::shared_ptr<transaction_pool> make_transaction_pool(asio::any_io_executor executor,
                                                                      transactional_options options);

[[nodiscard]] asio::any_io_executor const& executor_of(transaction_pool const& pool) noexcept;

/// Runs `work` on a thread of the pool, which it may block. False where too much waits already.
[[nodiscard]] bool submit(transaction_pool& pool, std::function<void()> work);

/// Keeps other requests of this process with the same key from taking a connection.
class reservation {
public:
    explicit reservation(std::shared_ptr<transaction_pool> pool) noexcept : pool_(std::move(pool)) {}
    reservation(reservation const&) = delete;
    reservation& operator=(reservation const&) = delete;
    ~reservation() { release(); }

    /// Empty where it is taken; otherwise what the request meets.
    [[nodiscard]] std::optional<claim_result> take(claim_request const& claim);
    void release() noexcept;

private:
    std::shared_ptr<transaction_pool> pool_;
    std::optional<store_key> key_;
};

/// How a transaction ended.
enum class transaction_end {
    /// A COMMIT has been answered, or was found to have happened.
    committed,
    /// Nothing was committed: there is another request's record.
    overtaken,
    /// Nothing was committed: the server refuses what the handler did, or the handler ended the transaction itself.
    refused,
    /// Nothing was committed; another attempt may succeed.
    undone,
    /// COMMIT was sent, and nobody can tell what became of it.
    in_doubt,
};

/// What is to be done about it.
enum class after_ending;

/// One request's transaction: a claim, the handler's rows and the stored response, all or none. Its calls block, each
/// for a bounded time; the destructor does not, and ends what is open without a commit.
///
/// The primary key of the record decides who was first. The advisory lock only tells a rival so before its handler
/// runs.
class keyed_transaction {
public:
    explicit keyed_transaction(std::shared_ptr<transaction_pool> pool);
    keyed_transaction(keyed_transaction const&) = delete;
    keyed_transaction& operator=(keyed_transaction const&) = delete;
    ~keyed_transaction();

    /// Opens a transaction without a claim.
    void open(error_code& ec);

    /// Where it is granted the transaction is open; otherwise nothing is left of it.
    [[nodiscard]] claim_result claim(claim_request const& request, error_code& ec);

    /// What there is under another key. No other transaction can claim that key until this one has ended. Where it
    /// fails, nothing is left of the transaction. \pre open, and the handler has not run
    [[nodiscard]] std::optional<record_info> peek(store_key const& key, error_code& ec);

    [[nodiscard]] bool is_open() const noexcept { return session_ != nullptr; }

    /// For the handler. \pre open
    [[nodiscard]] pqxx::subtransaction& rows() noexcept;

    struct ending {
        transaction_end end = transaction_end::undone;
        /// `done`, or what the other request's record says.
        complete_result result{};
    };

    /// Decides what becomes of the handler's rows, and commits.
    /// \param committing called just before the message with COMMIT
    [[nodiscard]] ending complete(complete_request const& request, bool keeps_rows,
                                  std::function<void()> const& committing);

    /// The same for a request without a key: its rows stay, and there is no record.
    [[nodiscard]] transaction_end commit();

    /// Why the last end was `refused`. \throws nothing; for `std::rethrow_exception`
    [[nodiscard]] std::exception_ptr refusal() const { return refusal_; }

    /// Ends the transaction; nothing was.
    void roll_back() noexcept;

private:
    class session;

    template <class Steps>
    bool or_end(Steps steps) noexcept;
    void end_unused() noexcept;
    transaction_end end_by(after_ending after, std::string const& sqlstate);
    transaction_end refuse(std::string const& sqlstate, bool handler_ended_it);
    [[nodiscard]] bool look(complete_request const& request, std::optional<complete_result>& found);
    [[nodiscard]] ending look_after(complete_request const& request);
    [[nodiscard]] ending resolve(complete_request const& request);

    std::shared_ptr<transaction_pool> pool_;
    std::unique_ptr<session> session_;
    std::exception_ptr refusal_;
};

}  // namespace idempo::postgres
