// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/connection/connection.hpp>
#include <idempo/postgres/connection/pipeline.hpp>
#include <idempo/postgres/connection/pqxx_versions.hpp>
#include <idempo/postgres/connection/socket_watch.hpp>
#include <idempo/postgres/queue/sweeper_thread.hpp>
#include <idempo/postgres/transaction/keyed_transaction.hpp>
#include <idempo/postgres/transaction/transaction_text.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace idempo::postgres {

/// A connection, and what ends it from another thread.
struct pooled_connection {
    pooled_connection(libpq_connection made, bool serves_us_alone, bool keeps_names)
        : raw(made.get()),
          process(process_of(raw)),
          is_direct(serves_us_alone),
          line(raw, serves_us_alone && keeps_names),
          to(adopt(std::move(made))) {
        guard.watch(PQsocket(raw));
    }
    pooled_connection(pooled_connection const&) = delete;
    pooled_connection& operator=(pooled_connection const&) = delete;
    ~pooled_connection() { guard.release(); }

    /// For what is sent without libpqxx, which owns it.
    PGconn* raw;
    server_process process;
    /// There is no pooler, which could give the session to others between two transactions.
    bool is_direct;
    pipeline line;
    socket_guard guard;
    std::shared_ptr<pqxx_connection> to;
    /// It may have ended while it was idle.
    bool was_idle = false;
    std::chrono::steady_clock::time_point idle_since{};
    /// The server knows `client_connection_check_interval`, and its platform can do it.
    bool checks_client = false;
};

class transaction_pool {
public:
    transaction_pool(asio::any_io_executor executor, transactional_options options);
    transaction_pool(transaction_pool const&) = delete;
    transaction_pool& operator=(transaction_pool const&) = delete;
    /// What has been submitted is still carried out.
    ~transaction_pool();

    [[nodiscard]] transactional_options const& options() const noexcept { return options_; }
    [[nodiscard]] transaction_text const& text() const noexcept { return text_; }
    [[nodiscard]] asio::any_io_executor const& executor() const noexcept { return executor_; }
    [[nodiscard]] socket_watch& watch() noexcept { return *watch_; }

    [[nodiscard]] bool submit(std::function<void()> work);

    /// Tells the observer. May be called from several threads.
    void report(postgres_problem problem, std::string sqlstate = {}, std::string detail = {});

    /// \name Keys in flight
    /// \{
    [[nodiscard]] std::optional<claim_result> reserve(claim_request const& claim);
    void release(store_key const& key) noexcept;
    /// \}

    /// \name Connections
    /// \{
    /// Waits for a place among the connections; null where there is none in time, or the server cannot be reached.
    [[nodiscard]] std::unique_ptr<pooled_connection> take();
    /// A new one in the place of `lost`, which is gone then; null where the server cannot be reached. The place is
    /// kept.
    [[nodiscard]] std::unique_ptr<pooled_connection> replace(std::unique_ptr<pooled_connection> lost);
    void give_back(std::unique_ptr<pooled_connection> free);
    /// Ends it, if it is not null, without a word to the server, and frees its place: where the server did not answer
    /// in time, once its process is known to have ended.
    void drop(std::unique_ptr<pooled_connection> lost, bool is_late = false);
    /// A session has forgotten the names of its statements: no new connection uses any.
    void stop_naming() noexcept { uses_names_ = false; }
    /// \}

private:
    [[nodiscard]] std::unique_ptr<pooled_connection> connect();
    void look_for_late_processes();

    asio::any_io_executor executor_;
    transactional_options options_;
    transaction_text text_;
    connector connector_;
    std::shared_ptr<socket_watch> watch_;
    std::atomic<bool> uses_names_{true};
    std::shared_ptr<std::atomic<bool>> is_stopped_ = std::make_shared<std::atomic<bool>>(false);

    std::shared_ptr<asio::io_context> context_;
    asio::executor_work_guard<asio::io_context::executor_type> work_;
    std::shared_ptr<std::atomic<std::size_t>> waiting_ = std::make_shared<std::atomic<std::size_t>>(0);

    std::shared_ptr<sweeper_thread> sweeper_;

    std::mutex observer_mutex_;
    std::mutex mutex_;
    std::condition_variable freed_;
    std::vector<std::unique_ptr<pooled_connection>> idle_;
    std::size_t taken_ = 0;
    /// Of connections that were given up since the server did not answer in time. Each keeps its place.
    std::vector<server_process> late_;
    bool is_looking_ = false;
    std::chrono::steady_clock::time_point next_look_{};
    std::unordered_map<store_key, fingerprint, identifier_hash> in_flight_;
};

}  // namespace idempo::postgres
