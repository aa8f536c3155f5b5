// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/background_thread.hpp>
#include <idempo/detail/call_completion.hpp>
#include <idempo/listing.hpp>
#include <idempo/store.hpp>
#include <idempo/stores/store_access.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/append.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/wait_traits.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

namespace idempo {

namespace asio = boost::asio;

/// Limits of `offload`.
struct offload_options {
    /// How long an operation may take, including the wait for its turn; then `error::store_timed_out`. The call goes on
    /// in the pool: a claim that times out may still be executed.
    std::chrono::milliseconds timeout{std::chrono::seconds{5}};
    /// Operations that may wait or run at once; one more is refused with `error::store_unavailable`.
    std::size_t max_pending = 4096;
};

/// Makes a blocking store asynchronous: its calls run on a pool, those of one store key in the order of submission.
/// Models `async_store`, and `async_renewable_store` if the inner one has Renew.
///
/// It has two threads of its own, since a pool whose threads are all blocked could do neither's work. One keeps the
/// deadlines and renews claims. The other runs completions whose token has no executor, and so also handlers of a
/// middleware that is called with such a token: one at a time, and what a completion throws there ends the process.
/// Bind the token to an executor where handlers may take long.
///
/// The pool must outlive all copies, those in handlers and middleware included. A middleware lets go of its copy before
/// it completes a call. So end in this order: wait for the answers, destroy what was wrapped, then end the pool. The
/// last copy waits for what its two threads are doing, unless it goes on one of them.
template <store Store>
class offloaded_store {
public:
    /// \throws std::invalid_argument if a limit is not positive, or the timeout more than a year.
    offloaded_store(Store store, asio::any_io_executor pool, offload_options options = {})
        : shared_(std::make_shared<shared>(std::move(store), std::move(pool), options)) {}

    [[nodiscard]] asio::any_io_executor get_executor() const { return shared_->completions.get_executor(); }

    /// Where claims are renewed while a handler may block the executor above.
    [[nodiscard]] asio::any_io_executor renewal_executor() const { return shared_->deadlines.get_executor(); }

    template <asio::completion_token_for<void(error_code, claim_result)> Token>
    auto async_claim(claim_request request, Token&& done) {
        return submit<claim_result>(
            request.key, [request](Store& store, error_code& error) { return store.claim(request, error); },
            std::forward<Token>(done));
    }

    template <asio::completion_token_for<void(error_code, complete_result)> Token>
    auto async_complete(complete_request request, Token&& done) {
        auto const key = request.key;
        return submit<complete_result>(
            key,
            [request = std::move(request)](Store& store, error_code& error) { return store.complete(request, error); },
            std::forward<Token>(done));
    }

    template <asio::completion_token_for<void(error_code)> Token>
    auto async_abandon(store_key key, fencing_token by, Token&& done) {
        return submit(
            key, [key, by](Store& store, error_code& error) { store.abandon(key, by, error); },
            std::forward<Token>(done));
    }

    template <asio::completion_token_for<void(error_code, bool)> Token>
    auto async_renew(store_key key, fencing_token by, std::chrono::milliseconds lease, Token&& done)
        requires renewable_store<Store>
    {
        return submit<bool>(
            key, [key, by, lease](Store& store, error_code& error) { return store.renew(key, by, lease, error); },
            std::forward<Token>(done));
    }

    template <asio::completion_token_for<void(error_code, bool)> Token>
    auto async_save_step(step_request step, Token&& done)
        requires checkpointing_store<Store>
    {
        auto const key = step.key;
        return submit<bool>(
            key, [step = std::move(step)](Store& store, error_code& error) { return store.save_step(step, error); },
            std::forward<Token>(done));
    }

    template <asio::completion_token_for<void(error_code, bool)> Token>
    auto async_park(park_request request, Token&& done)
        requires parking_store<Store>
    {
        auto const key = request.key;
        return submit<bool>(
            key, [request = std::move(request)](Store& store, error_code& error) { return store.park(request, error); },
            std::forward<Token>(done));
    }

    template <asio::completion_token_for<void(error_code, bool)> Token>
    auto async_settle(settle_request request, Token&& done)
        requires parking_store<Store>
    {
        auto const key = request.key;
        return submit<bool>(
            key,
            [request = std::move(request)](Store& store, error_code& error) { return store.settle(request, error); },
            std::forward<Token>(done));
    }

    template <asio::completion_token_for<void(error_code, std::optional<record_info>)> Token>
    auto async_peek(store_key key, Token&& done)
        requires inspectable_store<Store>
    {
        return submit<std::optional<record_info>>(
            key, [key](Store& store, error_code& error) { return store.peek(key, error); }, std::forward<Token>(done));
    }

    template <asio::completion_token_for<void(error_code, bool)> Token>
    auto async_forget(store_key key, Token&& done)
        requires inspectable_store<Store>
    {
        return submit<bool>(
            key, [key](Store& store, error_code& error) { return store.forget(key, error); },
            std::forward<Token>(done));
    }

    /// Behind the operations of one key, and of those in its lane: the listing has no key of its own.
    template <asio::completion_token_for<void(error_code, record_page)> Token>
    auto async_list(list_request request, Token&& done)
        requires listing_store<Store>
    {
        return submit<record_page>(
            store_key(),
            [request = std::move(request)](Store& store, error_code& error) { return store.list(request, error); },
            std::forward<Token>(done));
    }

    /// Whether the store inside has `peek` and `forget`; whether it has `list`.
    [[nodiscard]] bool inspectable() const noexcept { return detail::inspectable(shared_->store); }
    [[nodiscard]] bool lists() const noexcept { return detail::lists(shared_->store); }

    /// Whether the store inside keeps steps; whether it parks records.
    [[nodiscard]] bool keeps_steps() const noexcept { return detail::keeps_steps(shared_->store); }
    [[nodiscard]] bool parks() const noexcept { return detail::parks(shared_->store); }

    /// Whether the store inside remembers used keys.
    static constexpr bool remembers_expired = remembering_store<Store>;
    [[nodiscard]] bool remembers() const noexcept { return detail::remembers(shared_->store); }

private:
    static constexpr std::size_t lane_count = 64;

    struct shared {
        shared(Store store_, asio::any_io_executor const& pool, offload_options options_)
            : store(std::move(store_)),
              options(options_) {
            if (options.timeout <= std::chrono::milliseconds::zero() || options.max_pending == 0) {
                throw std::invalid_argument("offload_options must be positive");
            }
            if (options.timeout > std::chrono::hours{24 * 365}) {
                throw std::invalid_argument("offload_options.timeout must be at most a year");
            }
            for (std::size_t lane = 0; lane < lane_count; ++lane) lanes.push_back(asio::make_strand(pool));
        }
        Store store;
        offload_options options;
        /// Order matters only within a key; a strand for each of many lanes keeps it, and keeps the pool busy.
        std::vector<asio::strand<asio::any_io_executor>> lanes;
        std::atomic<std::size_t> pending{0};
        detail::background_thread deadlines;
        detail::background_thread completions;
    };

    /// An operation that its deadline or the store completes, whichever comes first.
    template <class Handler>
    struct operation {
        operation(Handler handler_, shared& owner, std::chrono::milliseconds timeout)
            : handler(std::move(handler_)),
              executor(owner.completions.get_executor()),
              work(asio::get_associated_executor(*handler, executor)),
              deadline(owner.deadlines.get_executor(), timeout) {}

        /// Straight to the handler's own executor: a blocked thread of completions must not hold it up. Nothing of the
        /// handler stays behind, since the deadline ends later and on another thread.
        template <class... Results>
        void complete(Results... results) {
            if (answered.exchange(true)) return;
            auto told = std::move(*handler);
            auto const at_work = std::move(work);
            handler.reset();
            auto const where = detail::io_executor(asio::get_associated_executor(told, executor), executor);
            asio::post(where, asio::append(std::move(told), std::move(results)...));
        }

        /// Until it is completed.
        std::optional<Handler> handler;
        /// Of a handler that has none.
        asio::io_context::executor_type executor;
        /// The handler's own context may have nothing else to do until then.
        asio::executor_work_guard<asio::associated_executor_t<Handler, asio::io_context::executor_type>> work;
        asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>,
                                   asio::io_context::executor_type>
            deadline;
        std::atomic<bool> answered{false};
    };

    template <class... Result>
    using signature = void(error_code, Result...);

    /// `Result`: the result of the call and of the completion; none for a call without a result.
    template <class... Result, class Call, class Token>
    auto submit(store_key const& key, Call call, Token&& done) {
        return asio::async_initiate<Token, signature<Result...>>(
            initiation<Call, Result...>{shared_, key, std::move(call)}, done);
    }

    template <class Call, class... Result>
    struct initiation {
        std::shared_ptr<shared> state;
        store_key key;
        Call call;

        template <class Handler>
        void operator()(Handler handler) {
            auto running = std::make_shared<operation<Handler>>(std::move(handler), *state, state->options.timeout);
            if (state->pending.fetch_add(1) >= state->options.max_pending) {
                --state->pending;
                return refuse(*running, error::store_unavailable);
            }
            running->deadline.async_wait([running](error_code cancelled) {
                if (!cancelled) refuse(*running, error::store_timed_out);
            });
            auto& lane = state->lanes[identifier_hash{}(key) % lane_count];
            asio::post(lane, [state = state, running, call = std::move(call)]() mutable {
                execute(*state, *running, call);
                --state->pending;
            });
        }

        template <class Operation>
        static void refuse(Operation& running, error_code error) {
            running.complete(error, Result{}...);
        }

        template <class Operation>
        static void execute(shared& state, Operation& running, Call& call) {
            error_code error;
            if constexpr (sizeof...(Result) == 0) {
                call(state.store, error);
                running.complete(error);
            } else {
                auto result = call(state.store, error);
                running.complete(error, std::move(result));
            }
            running.deadline.cancel();
        }
    };

    std::shared_ptr<shared> shared_;
};

/// `offload(store, pool.get_executor())`.
template <store Store>
offloaded_store<Store> offload(Store store, asio::any_io_executor pool, offload_options options = {}) {
    return {std::move(store), std::move(pool), options};
}

}  // namespace idempo
