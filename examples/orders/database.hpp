// SPDX-License-Identifier: MIT
#pragma once

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <pqxx/connection>

#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

/// The database is unavailable. The requested work may have happened all the same.
struct database_unavailable : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Whether an exception of libpqxx is temporary: no connection, no resources, an administrator, a rival, a standby.
[[nodiscard]] bool is_outage(std::exception const& thrown);

/// Runs PostgreSQL work on threads of its own, since libpqxx blocks; coroutines wait for it without a thread.
///
/// Work ends within `limits::database_time` plus the time to connect: the socket of overdue work is shut down. The
/// executor has one thread, and its context outlives the database.
class database {
public:
    /// \param connection a libpq connection string
    database(boost::asio::any_io_executor executor, std::string connection);
    database(database const&) = delete;
    database& operator=(database const&) = delete;
    /// Ends the work in progress.
    ~database();

    /// Calls `work(pqxx::connection&)` on a thread of the database, and returns its result.
    /// \throws database_unavailable if there is no connection, it is lost, or there are too many questions; and
    /// what else `work` throws.
    template <class Work>
    boost::asio::awaitable<std::invoke_result_t<Work&, pqxx::connection&>> run(Work work) {
        using result = std::invoke_result_t<Work&, pqxx::connection&>;
        auto const value = std::make_shared<std::optional<result>>();
        auto const asked = std::make_shared<question>();
        asked->work = keep_result(std::move(work), value);
        // Named, since GCC 12 destroys temporaries in a co_await expression twice.
        auto start = [this, asked](auto done) { ask(asked, std::move(done)); };
        auto const& token = boost::asio::use_awaitable;
        co_await boost::asio::async_initiate<decltype(token), void()>(std::move(start), token);
        if (asked->thrown) std::rethrow_exception(asked->thrown);
        co_return std::move(**value);
    }

private:
    struct question {
        std::function<void(pqxx::connection&)> work;
        std::exception_ptr thrown;
        /// Guarded by the database's mutex: the socket that it waits for, and whether its time is over.
        int socket = -1;
        bool is_overdue = false;
    };

    /// Not within the coroutine, for whose parameters clang-tidy takes those of a lambda.
    template <class Work, class Result>
    static std::function<void(pqxx::connection&)> keep_result(Work work, std::shared_ptr<std::optional<Result>> to) {
        return [work = std::move(work), to = std::move(to)](pqxx::connection& connection) mutable {
            to->emplace(work(connection));
        };
    }

    void ask(std::shared_ptr<question> const& asked, boost::asio::any_completion_handler<void()> done);
    void carry_out(question& asked);
    void give_up(question& overdue);

    [[nodiscard]] std::unique_ptr<pqxx::connection> take_connection();
    void enter(question& asked, pqxx::connection& with);
    void leave(question& asked);

    boost::asio::any_io_executor executor_;
    std::string connection_;
    std::atomic<std::size_t> pending_{0};
    std::mutex mutex_;
    std::vector<std::unique_ptr<pqxx::connection>> idle_;
    std::set<question*> running_;
    boost::asio::thread_pool threads_;
};
