#pragma once

#include <idempo/postgres/transaction/transaction_pool.hpp>

#include <idempo/postgres/connection/context_threads.hpp>
#include <idempo/postgres/connection/libpq_connect.hpp>

#include <boost/asio/execution/context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/query.hpp>

#include <exception>
#include <stdexcept>
#include <utility>

namespace idempo {

namespace postgres {

transaction_pool::transaction_pool(asio::any_io_executor executor, transactional_options options)
    : executor_(std::move(executor)),
      options_((validate(options), std::move(options))),
      table_(quoted_name(options_.database.schema) + "." + quoted_name(options_.database.table)),
      sql_(table_, options_.database.operation_timeout),
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
}

transaction_pool::~transaction_pool() {
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

void transaction_pool::report(postgres_problem problem, std::string sqlstate) {
    if (!options_.database.observer) return;
    std::lock_guard const one_at_a_time(observer_mutex_);
    try {
        options_.database.observer({problem, std::move(sqlstate)});
    } catch (...) {
        // observers must not affect the operation
    }
}

std::optional<claim_result> transaction_pool::reserve(claim_request const& claim) {
    std::lock_guard const lock(mutex_);
    auto const [found, is_new] = in_flight_.try_emplace(claim.key, claim.fingerprint);
    if (is_new) return std::nullopt;
    if (found->second != claim.fingerprint) return mismatch{};
    return in_flight{options_.handler_timeout};
}

void transaction_pool::release(store_key const& key) noexcept {
    std::lock_guard const lock(mutex_);
    in_flight_.erase(key);
}

std::unique_ptr<pooled_connection> transaction_pool::take() {
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
    std::lock_guard const lock(mutex_);
    idle_.push_back(std::move(free));
    --taken_;
    freed_.notify_one();
}

void transaction_pool::drop(std::unique_ptr<pooled_connection> lost) {
    if (lost) lost->guard.shut_down();
    lost.reset();
    std::lock_guard const lock(mutex_);
    --taken_;
    freed_.notify_one();
}

std::unique_ptr<pooled_connection> transaction_pool::connect() {
    auto const& database = options_.database;
    std::unique_ptr<pooled_connection> connected;
    try {
        if (auto made = postgres::connect(database.connection, database.connect_timeout, *is_stopped_)) {
            connected = std::make_unique<pooled_connection>(std::move(made));
        }
    } catch (std::exception const&) {  // lost while it is handed over
    }
    report(connected ? postgres_problem::none : postgres_problem::unreachable);
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

}  // namespace postgres

}  // namespace idempo
