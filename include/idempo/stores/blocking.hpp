// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/background_thread.hpp>
#include <idempo/listing.hpp>
#include <idempo/observer.hpp>
#include <idempo/store.hpp>
#include <idempo/stores/heartbeat.hpp>
#include <idempo/stores/store_access.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>

#include <chrono>
#include <concepts>
#include <future>
#include <memory>
#include <optional>
#include <utility>

namespace idempo {

namespace detail {

/// Whether nothing that was given to an executor will run: its `io_context` has been stopped. False where it cannot be
/// known.
inline bool has_stopped(boost::asio::any_io_executor const& executor) {
    namespace asio = boost::asio;
    using context_executor = asio::io_context::executor_type;
    if (auto const* plain = executor.target<context_executor>()) return plain->context().stopped();
    if (auto const* strand = executor.target<asio::strand<context_executor>>()) {
        return strand->get_inner_executor().context().stopped();
    }
    if (auto const* strand = executor.target<asio::strand<asio::any_io_executor>>()) {
        return has_stopped(strand->get_inner_executor());
    }
    return false;
}

}  // namespace detail

/// An asynchronous store for synchronous servers: each call blocks its thread until the store has answered, which the
/// store's own deadlines bound. Models `store`, and `renewable_store` where the inner one has Renew.
///
/// Where the store's `io_context` has been stopped, its deadlines do not run: the call ends with
/// `error::store_unavailable` soon after. Where that cannot be seen, it ends after `timeout`, with
/// `error::store_timed_out`. In both cases the store may still execute the call. For an orderly shutdown, end the
/// sessions first and the context last.
///
/// It owns a thread for the heartbeat, since nobody else is there to renew while a handler runs. Must not be called on
/// a thread that the inner store needs to make progress. A store that never blocks (in an `any_store`) is called
/// directly. Calls that the inner store drops, because its executor ended, report `error::store_unavailable`.
template <async_store Store>
class blocking_store {
public:
    /// By far more than any store's own deadlines.
    static constexpr std::chrono::milliseconds default_timeout = std::chrono::minutes{1};

    explicit blocking_store(Store store, std::chrono::milliseconds timeout = default_timeout)
        : thread_(std::make_shared<detail::background_thread>()),
          heartbeats_(std::make_shared<detail::heartbeats>(thread_->get_executor())),
          store_(std::move(store)),
          timeout_(timeout) {}

    /// Makes the store on its own thread: `make(executor)` returns it.
    template <class Make>
        requires std::same_as<std::invoke_result_t<Make&, boost::asio::any_io_executor>, Store>
    explicit blocking_store(Make make, std::chrono::milliseconds timeout = default_timeout)
        : thread_(std::make_shared<detail::background_thread>()),
          heartbeats_(std::make_shared<detail::heartbeats>(thread_->get_executor())),
          store_(make(thread_->get_executor())),
          timeout_(timeout) {}

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

    void abandon(store_key const& key, fencing_token const& by, error_code& error) {
        if constexpr (detail::may_be_direct<Store>) {
            if (auto* store = direct()) return store->abandon(key, by, error);
        }
        struct nothing {};
        wait<nothing>(error, [&](auto done) {
            store_.async_abandon(key, by, [done = std::move(done)](error_code code) mutable { done(code, {}); });
        });
    }

    /// Begins `abandon`, and does not wait for it: for a claim of which nobody knows whether it was made.
    void start_abandon(store_key const& key, fencing_token const& by) {
        if constexpr (detail::may_be_direct<Store>) {
            if (auto* store = direct()) {
                error_code ignored;
                return store->abandon(key, by, ignored);
            }
        }
        store_.async_abandon(key, by, [](error_code) {});
    }

    bool renew(store_key const& key, fencing_token const& by, std::chrono::milliseconds lease, error_code& error)
        requires async_renewable_store<Store>
    {
        if constexpr (detail::may_be_direct<Store>) {
            if (auto* store = direct()) return store->renew(key, by, lease, error);
        }
        return wait<bool>(error, [&](auto done) { store_.async_renew(key, by, lease, std::move(done)); });
    }

    bool save_step(step_request const& step, error_code& error)
        requires async_checkpointing_store<Store>
    {
        if constexpr (detail::may_be_direct<Store>) {
            if (auto* store = direct()) return store->save_step(step, error);
        }
        return wait<bool>(error, [&](auto done) { store_.async_save_step(step, std::move(done)); });
    }

    bool park(park_request const& request, error_code& error)
        requires async_parking_store<Store>
    {
        if constexpr (detail::may_be_direct<Store>) {
            if (auto* store = direct()) return store->park(request, error);
        }
        return wait<bool>(error, [&](auto done) { store_.async_park(request, std::move(done)); });
    }

    bool settle(settle_request const& request, error_code& error)
        requires async_parking_store<Store>
    {
        return wait<bool>(error, [&](auto done) { store_.async_settle(request, std::move(done)); });
    }

    std::optional<record_info> peek(store_key const& key, error_code& error)
        requires async_inspectable_store<Store>
    {
        if constexpr (detail::may_be_direct<Store>) {
            if (auto* store = direct()) return store->peek(key, error);
        }
        return wait<std::optional<record_info>>(error, [&](auto done) { store_.async_peek(key, std::move(done)); });
    }

    bool forget(store_key const& key, error_code& error)
        requires async_inspectable_store<Store>
    {
        if constexpr (detail::may_be_direct<Store>) {
            if (auto* store = direct()) return store->forget(key, error);
        }
        return wait<bool>(error, [&](auto done) { store_.async_forget(key, std::move(done)); });
    }

    record_page list(list_request const& request, error_code& error)
        requires async_listing_store<Store>
    {
        if constexpr (detail::may_be_direct<Store>) {
            if (auto* store = direct()) return store->list(request, error);
        }
        return wait<record_page>(error, [&](auto done) { store_.async_list(request, std::move(done)); });
    }

    /// Whether the store inside has `peek` and `forget`; whether it has `list`.
    [[nodiscard]] bool inspectable() const noexcept { return detail::inspectable(store_); }
    [[nodiscard]] bool lists() const noexcept { return detail::lists(store_); }

    /// Whether the store inside keeps steps; whether it parks records.
    [[nodiscard]] bool keeps_steps() const noexcept { return detail::keeps_steps(store_); }
    [[nodiscard]] bool parks() const noexcept { return detail::parks(store_); }

    /// Whether the store inside remembers used keys.
    static constexpr bool remembers_expired = remembering_store<Store>;
    [[nodiscard]] bool remembers() const noexcept { return detail::remembers(store_); }

    /// Renews the claim, which was sent at `claimed_at`, until the returned heartbeat ends, on its own thread.
    [[nodiscard]] detail::heartbeat keep_alive(claim_request const& claim,
                                               std::chrono::steady_clock::time_point claimed_at, idempo::observer told)
        requires async_renewable_store<Store>
    {
        if (!detail::renewable(store_)) return {};
        auto renewal = detail::renewal_by(std::make_shared<Store>(store_), [](Store& own) -> Store& { return own; });
        return heartbeats_->start(std::move(renewal), claim, claimed_at, std::move(told));
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
        auto const until = std::chrono::steady_clock::now() + timeout_;
        while (future.wait_for(look_interval) == std::future_status::timeout) {
            if (detail::has_stopped(store_.get_executor())) {
                error = error::store_unavailable;
                return {};
            }
            if (std::chrono::steady_clock::now() >= until) {
                error = error::store_timed_out;
                return {};
            }
        }
        try {
            auto [code, result] = future.get();
            error = code;
            return std::move(result);
        } catch (std::future_error const&) {
            error = error::store_unavailable;
            return {};
        }
    }

    /// How often a call that waits looks whether anybody is left to answer it.
    static constexpr std::chrono::milliseconds look_interval{50};

    std::shared_ptr<detail::background_thread> thread_;
    std::shared_ptr<detail::heartbeats> heartbeats_;
    Store store_;
    std::chrono::milliseconds timeout_;
};

/// `blocking(store)`, or `blocking([](auto executor) { return redis_store(executor, …); })` for a store on the
/// adapter's own thread.
template <async_store Store>
blocking_store<Store> blocking(Store store,
                               std::chrono::milliseconds timeout = blocking_store<Store>::default_timeout) {
    return blocking_store<Store>(std::move(store), timeout);
}

template <class Make>
    requires async_store<std::invoke_result_t<Make&, boost::asio::any_io_executor>>
auto blocking(Make make) {
    return blocking_store<std::invoke_result_t<Make&, boost::asio::any_io_executor>>(std::move(make));
}

}  // namespace idempo
