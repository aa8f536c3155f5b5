// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/call_completion.hpp>
#include <idempo/handler.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/string_body.hpp>

#include <atomic>
#include <concepts>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace idempo::detail {

/// In the place of an execution where no idempotency layer is further out: the handler is called without one.
struct no_execution {};

template <class Handler, class Request>
decltype(auto) invoke_inner(Handler& handler, Request&& request, execution* execution) {
    return invoke_handler(handler, std::forward<Request>(request), *execution);
}

template <class Handler, class Request>
decltype(auto) invoke_inner(Handler& handler, Request&& request, no_execution) {
    static_assert(std::invocable<Handler&, Request>,
                  "idempo: this handler takes an execution, and no idempotency layer stands before it");
    return handler(std::forward<Request>(request));
}

template <class Handler, class Request, class Token>
void invoke_inner(Handler& handler, Request&& request, execution* execution, Token&& token) {
    invoke_async_handler(handler, std::forward<Request>(request), *execution, std::forward<Token>(token));
}

template <class Handler, class Request, class Token>
void invoke_inner(Handler& handler, Request&& request, no_execution none, Token&& token) {
    if constexpr (requires { handler.handler; }) {
        invoke_inner(handler.handler, std::forward<Request>(request), none, std::forward<Token>(token));
    } else {
        handler(std::forward<Request>(request), std::forward<Token>(token));
    }
}

/// The one outcome of one call: the first counts, and exactly one of two goes on with it.
///
/// An outcome that comes before the call has returned waits until it has. So nothing that follows runs within the
/// handler's frame, and what a completion throws cannot be taken for what the handler threw.
class call_handoff {
public:
    /// Whether this outcome is the first.
    [[nodiscard]] bool settle() noexcept { return !settled_.exchange(true, std::memory_order_acq_rel); }
    /// The outcome is in its place; or the call has returned. The second of the two goes on.
    [[nodiscard]] bool is_second() noexcept { return met_.exchange(true, std::memory_order_acq_rel); }

private:
    std::atomic<bool> settled_{false};
    std::atomic<bool> met_{false};
};

template <class Handler, class Request>
auto response_tag() {
    if constexpr (takes_completion_token<Handler>) {
        return std::type_identity<completed_reply>{};
    } else if constexpr (awaitable_handler<Handler, Request>) {
        return std::type_identity<std::remove_cvref_t<typename awaited<handler_result_t<Handler, Request>>::type>>{};
    } else {
        return std::type_identity<std::remove_cvref_t<handler_result_t<Handler, Request>>>{};
    }
}

/// Calls a handler of any kind once and has its one outcome: what it answered first, or else what it threw.
///
/// `Owner` is kept alive by a call that is under way. Its `call()` is this, and its `handled()` is called when the
/// outcome comes after `start` has returned: once, on its executor, where it `has_executor`. Its `threw_late` is told
/// what a handler throws out of its call after it has answered. A second completion means nothing: the owner may have
/// ended by then.
template <class Owner, class Handler, class Request>
class handler_call {
public:
    static constexpr bool runs_with_token = takes_completion_token<Handler>;
    static constexpr bool runs_at_once = detail::runs_at_once<Handler, Request>;
    using response_type = typename decltype(response_tag<Handler, Request>())::type;
    using slot_type = boost::asio::cancellation_slot;

    /// Calls a handler that answers by returning: the outcome is there when this returns.
    template <class Execution>
        requires(runs_at_once)
    void run(Handler& handler, Request& request, Execution execution) noexcept {
        try {
            response_.emplace(invoke_inner(handler, std::move(request), execution));
        } catch (...) {
            exception_ = std::current_exception();
        }
    }

    /// True where the outcome is there when this returns. What the handler throws is an outcome. The handler's own work
    /// is cancelled through the slot, which may be one without a signal. Handler and request are the owner's.
    /// \param execution `idempo::execution*` or `no_execution`
    template <class Execution>
    [[nodiscard]] bool start(std::shared_ptr<Owner> const& owner, Handler& handler, Request& request,
                             Execution execution, call_executor const& where, slot_type slot = {}) {
        if constexpr (runs_at_once) {
            run(handler, request, execution);
            return true;
        } else {
            try {
                if constexpr (runs_with_token) {
                    with_token(owner, handler, request, execution, where, slot);
                } else {
                    spawn(owner, handler, request, execution, where, slot);
                }
            } catch (...) {
                if (handoff_.settle()) {
                    exception_ = std::current_exception();
                    return true;
                }
                owner->threw_late(std::current_exception());
            }
            return handoff_.is_second();
        }
    }

    /// \name Instead of `start`, for an owner whose caller is a coroutine and calls the handler itself
    /// @{
    template <class Response>
    void answered(Response&& response) {
        response_.emplace(std::forward<Response>(response));
    }
    void threw(std::exception_ptr exception) noexcept { exception_ = std::move(exception); }
    /// @}

    /// The outcome: an exception, or else a response.
    [[nodiscard]] std::exception_ptr const& exception() const noexcept { return exception_; }
    [[nodiscard]] response_type& response() noexcept { return *response_; }

private:
    /// What a handler with a token completes: with its answer, or with what it would have thrown. It may be called more
    /// than once, in whatever thread.
    struct completion {
        std::shared_ptr<Owner> owner;
        call_executor where;

        void operator()(http::message_generator message) { answered(std::move(message)); }
        void operator()(http::response<http::string_body>&& response) { answered(std::move(response)); }
        void operator()(std::exception_ptr exception) {
            auto& call = owner->call();
            if (!call.handoff_.settle()) return;
            call.exception_ = std::move(exception);
            call.go_on(owner, where);
        }

        template <class Reply>
        void answered(Reply&& reply) {
            auto& call = owner->call();
            if (!call.handoff_.settle()) return;
            call.response_.emplace(completed_reply{std::forward<Reply>(reply)});
            call.go_on(owner, where);
        }
    };

    /// Handlers differ in where they complete; the owner goes on in one place.
    void go_on(std::shared_ptr<Owner> const& owner, [[maybe_unused]] call_executor const& where) {
        if (!handoff_.is_second()) return;
        if constexpr (Owner::has_executor) {
            // Until this has returned: the owner may end its context's work meanwhile, and that may be destroyed then.
            auto const work = boost::asio::make_work_guard(where.executor);
            boost::asio::dispatch(where.executor, [owner] { owner->handled(); });
        } else {
            owner->handled();
        }
    }

    template <class Execution>
    static void with_token(std::shared_ptr<Owner> const& owner, Handler& handler, Request& request, Execution execution,
                           call_executor const& where, [[maybe_unused]] slot_type slot) {
        completion done{owner, where};
        if constexpr (Owner::has_executor) {
            invoke_inner(
                handler, std::move(request), execution,
                boost::asio::bind_cancellation_slot(slot, boost::asio::bind_executor(where.executor, std::move(done))));
        } else {
            invoke_inner(handler, std::move(request), execution, std::move(done));
        }
    }

    template <class Execution>
    void spawn(std::shared_ptr<Owner> const& owner, Handler& handler, Request& request, Execution execution,
               call_executor const& where, slot_type slot) {
        using executor_type = typename awaited<handler_result_t<Handler, Request>>::executor_type;
        auto ended = [owner, where](std::exception_ptr exception) {
            auto& call = owner->call();
            if (!call.handoff_.settle()) return;
            call.exception_ = std::move(exception);
            call.go_on(owner, where);
        };
        boost::asio::co_spawn(
            executor_for<executor_type>(where.executor), await<executor_type>(owner, &handler, &request, execution),
            boost::asio::bind_cancellation_slot(slot, boost::asio::bind_executor(where.executor, std::move(ended))));
    }

    /// \throws std::logic_error where the call is made on an executor of another type
    template <class Executor>
    static Executor executor_for(boost::asio::any_io_executor const& executor) {
        if constexpr (std::same_as<Executor, boost::asio::any_io_executor>) {
            return executor;
        } else {
            if (auto const* concrete = executor.target<Executor>()) return *concrete;
            throw std::logic_error(
                "idempo: this coroutine handler is bound to one type of executor, and the completion "
                "token of the call has another");
        }
    }

    template <class Executor, class Execution>
    static boost::asio::awaitable<void, Executor> await(std::shared_ptr<Owner> owner, Handler* handler,
                                                        Request* request, Execution execution) {
        owner->call().response_.emplace(co_await invoke_inner(*handler, std::move(*request), execution));
    }

    std::optional<response_type> response_;
    std::exception_ptr exception_;
    call_handoff handoff_;
};

}  // namespace idempo::detail
