#pragma once

#include <idempo/error.hpp>
#include <idempo/postgres/transaction/transactional_options.hpp>
#include <idempo/store.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <functional>
#include <memory>
#include <optional>
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

    /// For the handler. \pre open
    [[nodiscard]] pqxx::subtransaction& rows() noexcept;

    /// Decides what becomes of the handler's rows, and commits. With an error, nothing was, or it is not known;
    /// anything but `done` says that another request was first, and nothing was committed.
    /// \param committing called just before COMMIT
    [[nodiscard]] complete_result complete(complete_request const& request, bool keeps_rows,
                                           std::function<void()> const& committing, error_code& ec);

    /// The same without a record.
    void commit(bool keeps_rows, error_code& ec);

    /// Ends the transaction; nothing was.
    void roll_back() noexcept;

private:
    struct session;

    template <class Steps>
    auto or_end(error_code& ec, Steps steps) -> decltype(steps());
    std::optional<claim_result> look(claim_request const& request);
    complete_result settled_by_another(complete_request const& request);
    complete_result resolve(complete_request const& request, error_code& ec);

    std::shared_ptr<transaction_pool> pool_;
    std::unique_ptr<session> session_;
};

}  // namespace idempo::postgres
