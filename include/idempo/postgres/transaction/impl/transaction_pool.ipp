// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/transaction/transaction_pool.hpp>

#include <idempo/postgres/connection/context_threads.hpp>
#include <idempo/postgres/connection/late_processes.hpp>
#include <idempo/postgres/connection/libpq_connect.hpp>
#include <idempo/postgres/connection/statement_io.hpp>
#include <idempo/postgres/statements/filled.hpp>

#include <boost/asio/execution/context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/query.hpp>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <optional>
#include <stdexcept>
#include <utility>

namespace idempo::postgres {

namespace {

/// Not all versions have the setting, and not all platforms can do it.
bool knows_client_check(PGconn* of, std::chrono::milliseconds timeout) {
    constexpr int first_version = 140000;
    if (PQserverVersion(of) < first_version) return false;
    auto const deadline = std::chrono::steady_clock::now() + timeout;
    return run_script(of, "SELECT pg_catalog.set_config('client_connection_check_interval', '1000', true)", deadline)
        .has_succeeded();
}

/// A pooler gives its clients process numbers of its own.
bool serves_us_alone(PGconn* connection, std::chrono::milliseconds timeout) {
    auto const deadline = std::chrono::steady_clock::now() + timeout;
    auto const outcome = run_script(connection, "SELECT pg_catalog.pg_backend_pid()", deadline);
    return outcome.has_succeeded() && outcome.results.at(0).number(0, 0) == PQbackendPID(connection);
}

}  // namespace

transaction_pool::transaction_pool(asio::any_io_executor executor, transactional_options options)
    : executor_(std::move(executor)),
      options_((validate(options), std::move(options))),
      text_(quoted_name(options_.database.schema) + "." + quoted_name(options_.database.table), options_),
      connector_(options_.database.connection, options_.database.connect_timeout),
      watch_(std::make_shared<socket_watch>()),
      context_(std::make_shared<asio::io_context>(static_cast<int>(options_.connections))),
      work_(context_->get_executor()) {
    auto& threads = asio::use_service<context_threads>(asio::query(executor_, asio::execution::context));
    threads.start([watch = watch_] { watch->run(); }, [watch = watch_] { watch->stop(); });
    for (std::size_t number = 0; number < options_.connections; ++number) {
        threads.start([context = context_] { context->run(); },
                      [context = context_, stopped = is_stopped_] {
                          *stopped = true;
                          context->stop();
                      });
    }
    if (options_.database.sweep_interval == std::chrono::milliseconds::zero()) return;
    sweeper_ = std::make_shared<sweeper_thread>(options_.database);
    threads.start([sweeping = sweeper_] { sweeping->run(); }, [sweeping = sweeper_] { sweeping->stop(); });
}

transaction_pool::~transaction_pool() {
    if (sweeper_) sweeper_->stop();
    watch_->stop();
    for (auto const& each : idle_) each->guard.shut_down();
}

bool transaction_pool::submit(std::function<void()> work) {
    if (waiting_->fetch_add(1) >= options_.database.max_pending) {
        --*waiting_;
        return false;
    }
    asio::post(*context_, [waiting = waiting_, run = std::move(work)] {
        --*waiting;
        run();
    });
    return true;
}

void transaction_pool::report(postgres_problem problem, std::string sqlstate, std::string detail) {
    if (!options_.database.observer) return;
    std::lock_guard const one_at_a_time(observer_mutex_);
    try {
        options_.database.observer({problem, std::move(sqlstate), std::move(detail)});
    } catch (...) {
        // observers must not affect the operation
    }
}

std::optional<claim_result> transaction_pool::reserve(claim_request const& claim) {
    std::lock_guard const lock(mutex_);
    auto const [found, is_new] = in_flight_.try_emplace(claim.key, claim.fingerprint);
    if (is_new) return std::nullopt;
    if (found->second != claim.fingerprint) return mismatch{found->second};
    return in_flight{options_.handler_timeout};
}

void transaction_pool::release(store_key const& key) noexcept {
    std::lock_guard const lock(mutex_);
    in_flight_.erase(key);
}

std::unique_ptr<pooled_connection> transaction_pool::take() {
    look_for_late_processes();
    {
        std::unique_lock lock(mutex_);
        auto const has_place = [&] { return taken_ < options_.connections; };
        if (!freed_.wait_for(lock, options_.database.operation_timeout, has_place)) return nullptr;
        ++taken_;
        if (!idle_.empty()) {
            auto found = std::move(idle_.back());
            idle_.pop_back();
            return found;
        }
    }
    auto made = connect();
    if (!made) drop(nullptr);
    return made;
}

void transaction_pool::look_for_late_processes() {
    constexpr std::chrono::milliseconds between{100};
    constexpr std::chrono::milliseconds longest{1000};
    std::vector<server_process> late;
    std::unique_ptr<pooled_connection> asking;
    {
        std::lock_guard const lock(mutex_);
        if (late_.empty() || is_looking_ || std::chrono::steady_clock::now() < next_look_) return;
        is_looking_ = true;
        late = late_;
        if (!idle_.empty()) {
            asking = std::move(idle_.back());
            idle_.pop_back();
        }
    }
    auto const asked = late.size();
    if (!asking) asking = connect();
    try {
        auto const timeout = std::min(options_.database.operation_timeout, longest);
        auto const deadline = std::chrono::steady_clock::now() + timeout;
        if (asking) asking->line.settle(deadline);
        if (asking) forget_ended(late, asking->raw, deadline);
    } catch (statement_failure const&) {
        asking.reset();
    }
    std::lock_guard const lock(mutex_);
    is_looking_ = false;
    next_look_ = std::chrono::steady_clock::now() + between;
    if (!asking) return;
    idle_.push_back(std::move(asking));
    late_.erase(late_.begin(), late_.begin() + static_cast<std::ptrdiff_t>(asked));
    late_.insert(late_.begin(), late.begin(), late.end());
    taken_ -= asked - late.size();
    freed_.notify_all();
}

std::unique_ptr<pooled_connection> transaction_pool::replace(std::unique_ptr<pooled_connection> lost) {
    std::vector<std::unique_ptr<pooled_connection>> suspects;
    {
        // What has ended one connection has often ended all.
        std::lock_guard const lock(mutex_);
        suspects.swap(idle_);
    }
    if (lost) suspects.push_back(std::move(lost));
    for (auto const& each : suspects) each->guard.shut_down();
    suspects.clear();
    return connect();
}

void transaction_pool::give_back(std::unique_ptr<pooled_connection> free) {
    free->was_idle = true;
    free->idle_since = std::chrono::steady_clock::now();
    std::lock_guard const lock(mutex_);
    idle_.push_back(std::move(free));
    --taken_;
    freed_.notify_one();
}

void transaction_pool::drop(std::unique_ptr<pooled_connection> lost, bool is_late) {
    std::optional<server_process> late;
    if (lost) {
        if (is_late) late = lost->process;
        lost->guard.shut_down();
    }
    lost.reset();
    std::lock_guard const lock(mutex_);
    if (late) {
        late_.push_back(std::move(*late));
    } else {
        --taken_;
        freed_.notify_one();
    }
}

std::unique_ptr<pooled_connection> transaction_pool::connect() {
    auto const& database = options_.database;
    std::unique_ptr<pooled_connection> connected;
    std::string why;
    try {
        if (auto made = connector_.connect(*is_stopped_, why)) {
            auto const checks_client = knows_client_check(made.get(), database.operation_timeout);
            auto const is_direct = serves_us_alone(made.get(), database.operation_timeout);
            connected = std::make_unique<pooled_connection>(std::move(made), is_direct, uses_names_);
            connected->checks_client = checks_client;
        }
    } catch (std::exception const& failed) {  // lost while it is handed over
        why = failed.what();
    }
    if (connected) {
        report(postgres_problem::none);
    } else {
        report(postgres_problem::unreachable, {}, std::move(why));
    }
    return connected;
}

std::shared_ptr<transaction_pool> make_transaction_pool(asio::any_io_executor executor, transactional_options options) {
    return std::make_shared<transaction_pool>(std::move(executor), std::move(options));
}

asio::any_io_executor const& executor_of(transaction_pool const& pool) noexcept { return pool.executor(); }

bool submit(transaction_pool& pool, std::function<void()> work) { return pool.submit(std::move(work)); }

std::optional<claim_result> reservation::take(claim_request const& claim) {
    auto met = pool_->reserve(claim);
    if (!met) key_ = claim.key;
    return met;
}

void reservation::release() noexcept {
    if (key_) pool_->release(*key_);
    key_.reset();
}

}  // namespace idempo::postgres
