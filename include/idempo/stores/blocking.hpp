#pragma once

#include <idempo/detail/background_thread.hpp>
#include <idempo/observer.hpp>
#include <idempo/store.hpp>
#include <idempo/stores/heartbeat.hpp>
#include <idempo/stores/store_access.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <chrono>
#include <concepts>
#include <future>
#include <memory>
#include <utility>

namespace idempo {

/// An asynchronous store for synchronous servers: each call blocks its thread until the store has answered, within the
/// store's own deadlines. Models `store`, and `renewable_store` if the inner one has Renew.
///
/// It owns a thread for the heartbeat, which renews while a handler blocks its own thread. Must not be called on a
/// thread that the inner store needs to make progress. A store that never blocks (in an `any_store`) is called
/// directly. Calls that the inner store drops, because its executor ended, report `error::store_unavailable`.
template <async_store Store>
class blocking_store {
public:
    explicit blocking_store(Store store)
        : thread_(std::make_shared<detail::background_thread>()),
          store_(std::move(store)) {}

    /// Makes the store on its own thread: `make(executor)` returns it.
    template <class Make>
        requires std::same_as<std::invoke_result_t<Make&, boost::asio::any_io_executor>, Store>
    explicit blocking_store(Make make)
        : thread_(std::make_shared<detail::background_thread>()),
          store_(make(thread_->get_executor())) {}

    claim_result claim(claim_request const& request, error_code& error) {
        if constexpr (detail::may_be_direct<Store>) {
            if (auto* store = direct()) return store->claim(request, error);
        }
        return wait<claim_result>(error, [&](auto done) { store_.async_claim(request, std::move(done)); });
    }

    complete_result complete(complete_request const& request, error_code& error) {
        if constexpr (detail::may_be_direct<Store>) {
            if (auto* store = direct()) return store->complete(request, error);
        }
        return wait<complete_result>(error, [&](auto done) { store_.async_complete(request, std::move(done)); });
    }

    void abandon(store_key const& key, token const& by, error_code& error) {
        if constexpr (detail::may_be_direct<Store>) {
            if (auto* store = direct()) return store->abandon(key, by, error);
        }
        struct nothing {};
        wait<nothing>(error, [&](auto done) {
            store_.async_abandon(key, by, [done = std::move(done)](error_code code) mutable { done(code, {}); });
        });
    }

    bool renew(store_key const& key, token const& by, std::chrono::milliseconds lease, error_code& error)
        requires async_renewable_store<Store>
    {
        if constexpr (detail::may_be_direct<Store>) {
            if (auto* store = direct()) return store->renew(key, by, lease, error);
        }
        return wait<bool>(error, [&](auto done) { store_.async_renew(key, by, lease, std::move(done)); });
    }

    /// Renews the claim until the returned heartbeat ends, on its own thread.
    [[nodiscard]] detail::heartbeat keep_alive(claim_request const& claim, idempo::observer told)
        requires async_renewable_store<Store>
    {
        if (!detail::renewable(store_)) return {};
        auto renew = [store = store_, claim](auto renewed) mutable {
            detail::start_renew(store, claim, std::move(renewed));
        };
        return detail::heartbeat::start(thread_->get_executor(), std::move(renew), claim, std::move(told));
    }

    /// The calls of a store that never blocks, or null.
    [[nodiscard]] auto* direct() noexcept
        requires detail::may_be_direct<Store>
    {
        return detail::direct_access(store_);
    }

private:
    template <class Result, class Initiate>
    Result wait(error_code& error, Initiate initiate) {
        std::promise<std::pair<error_code, Result>> promise;
        auto future = promise.get_future();
        initiate([promise = std::move(promise)](error_code code, Result result) mutable {
            promise.set_value({code, std::move(result)});
        });
        try {
            auto [code, result] = future.get();
            error = code;
            return std::move(result);
        } catch (std::future_error const&) {
            error = error::store_unavailable;
            return {};
        }
    }

    std::shared_ptr<detail::background_thread> thread_;
    Store store_;
};

/// `blocking(store)`, or `blocking([](auto executor) { return redis_store(executor, …); })` for a store on the
/// adapter's own thread.
template <async_store Store>
blocking_store<Store> blocking(Store store) {
    return blocking_store<Store>(std::move(store));
}

template <class Make>
    requires async_store<std::invoke_result_t<Make&, boost::asio::any_io_executor>>
auto blocking(Make make) {
    return blocking_store<std::invoke_result_t<Make&, boost::asio::any_io_executor>>(std::move(make));
}

}  // namespace idempo
