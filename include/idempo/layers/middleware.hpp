// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/awaiting_caller.hpp>
#include <idempo/detail/call_completion.hpp>
#include <idempo/exchange/admission.hpp>
#include <idempo/exchange/asynchronous_driver.hpp>
#include <idempo/exchange/drain.hpp>
#include <idempo/exchange/middleware_state.hpp>
#include <idempo/exchange/synchronous_driver.hpp>
#include <idempo/execution.hpp>
#include <idempo/handler.hpp>
#include <idempo/layers/filtered.hpp>
#include <idempo/layers/misuse.hpp>
#include <idempo/layers/unkeyed.hpp>
#include <idempo/options.hpp>
#include <idempo/step.hpp>
#include <idempo/store.hpp>
#include <idempo/stores/store_access.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/system_executor.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/message_generator.hpp>

#include <chrono>
#include <exception>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace idempo {

class any_store;

/// Wraps a handler: a retried request runs it at most once per unexpired claim and gets the first answer again.
///
/// It has the shape of what it wraps, and two call operators: `(request)` where handler and store are synchronous, and
/// `(request, token)` for every handler and every store.
///
/// Copies share one state, which every running operation owns too: a middleware may be destroyed while requests are
/// in flight. All members may be called from any thread; the handler is called concurrently for concurrent requests.
///
/// What the client is told is never an exception: refusals are responses (RFC 9457). `docs/guarantees.md` says what is
/// guaranteed, and what is not.
template <class Handler, class Store = any_store>
class middleware {
    using state = detail::middleware_state<Handler, Store>;

    static_assert(store<Store> || async_store<Store>,
                  "idempo: Store is neither a store nor an async_store: see idempo/store.hpp");

public:
    /// \throws std::invalid_argument if the options are invalid, or need what the store cannot do.
    middleware(Handler handler, Store store, idempo::options options = {}) {
        detail::validate_for(options, store);
        state_ = std::make_shared<state>(std::move(handler), std::move(store), std::move(options));
    }

    /// For a synchronous session: runs on the calling thread and returns what to send.
    ///
    /// Returns the handler's own type where a replay converts to it (`response<string_body>`, `message_generator`),
    /// else `message_generator`. A request that is none of the middleware's business costs no allocation.
    /// \throws whatever the handler throws, after the store has been told.
    template <request Request>
        requires sync_handler<Handler, Request> && store<Store>
    detail::reply_for<detail::handler_result_t<Handler, Request>> operator()(Request&& request) const {
        if (auto const facts = detail::look_at(state_->options, request)) return run<Request>(request, *facts, nullptr);
        execution unkeyed;
        return detail::invoke_handler(state_->handler, std::forward<Request>(request), unkeyed);
    }

    /// As the inner handler of a layer that passes its own execution on. Under a key this middleware makes one of its
    /// own for the handler, and tells the outer one what came of it: a refusal is not to be stored there.
    template <request Request>
        requires sync_handler<Handler, Request> && store<Store>
    detail::reply_for<detail::handler_result_t<Handler, Request>> operator()(Request&& request,
                                                                             execution& outer) const {
        if (auto const facts = detail::look_at(state_->options, request)) return run<Request>(request, *facts, &outer);
        return detail::invoke_handler(state_->handler, std::forward<Request>(request), outer);
    }

    /// What cannot be called in this way: says why.
    template <request Request>
        requires(!sync_handler<Handler, Request> || !store<Store>)
    detail::misuse operator()(Request&&) const {
        detail::explain_plain_call<Handler, Store, Request>();
        return {};
    }

    /// For callback and coroutine sessions: completes with `void(http::message_generator)`, once, whatever throws. A
    /// handler that throws answers 500; what the completion throws leaves this call or the executor.
    ///
    /// Handler, store and completion meet on the token's associated executor, by default the store's. With a store that
    /// never blocks (`memory_store`) the handler starts on the calling thread. Such a store has no executor, and needs
    /// one from the token (`asio::bind_executor`), unless the handler is a plain function: then everything happens on
    /// the calling thread and the completion is called before this returns. Otherwise the completion is never called
    /// from within this call.
    ///
    /// A handler that blocks its thread loses no lease to itself: claims in a store that never blocks have none while
    /// the call lasts, and `offload` renews on a thread of its own. A networked store renews on its own executor: give
    /// the token another one, or that executor a second thread, where handlers may block longer than a third of the
    /// lease.
    ///
    /// Cancellation reaches the handler of a request without a key. Under a key it ends the waiting for another request
    /// (`options::wait`), with 409; once the claim is granted nothing stops the handler and the storing of its
    /// response: the operation owns the request, the handler and the store.
    template <request Request, asio::completion_token_for<void(http::message_generator)> Token>
        requires handler<Handler, std::remove_cvref_t<Request>>
    auto operator()(Request&& request, Token&& completion_token) const {
        return call(std::forward<Request>(request), detail::unkeyed_execution(), completion_token);
    }

    /// As the inner handler of a layer that passes its own execution on.
    template <request Request, asio::completion_token_for<void(http::message_generator)> Token>
        requires handler<Handler, std::remove_cvref_t<Request>>
    auto operator()(Request&& request, execution& outer, Token&& completion_token) const {
        return call(std::forward<Request>(request), &outer, completion_token);
    }

    /// What cannot be called in this way: says why.
    template <request Request, asio::completion_token_for<void(http::message_generator)> Token>
        requires(!handler<Handler, std::remove_cvref_t<Request>>)
    detail::misuse operator()(Request&&, Token&&) const {
        detail::explain_token_call<Handler, std::remove_cvref_t<Request>>();
        return {};
    }

    /// From now on new requests with a key are refused with 503, and each answer to one closes its connection, so that
    /// clients go elsewhere. For the begin of a shutdown, before `drain`; there is no way back. Requests without a key
    /// are the session's affair.
    void begin_drain() const noexcept { state_->draining = true; }

    /// Waits until no keyed request is in flight, for shutdown: call it after `begin_drain`, or when nothing new is
    /// accepted, and not on a thread that those requests need. Returns whether that came about within the timeout.
    ///
    /// True says that every answer has been returned or is about to be given to its completion: the effects are made
    /// and stored. It does not say that an answer has been written: only the session knows that, so it has to end its
    /// writes before its executor is stopped.
    bool drain(std::chrono::milliseconds timeout) const { return detail::drain(state_->in_flight, timeout); }

    /// As `drain`, without blocking: completes with `void(error_code, bool drained)` on the token's executor, by
    /// default the given one. Cancellation ends it early.
    template <asio::completion_token_for<void(error_code, bool)> Token>
    auto async_drain(asio::any_io_executor executor, std::chrono::milliseconds timeout,
                     Token&& completion_token) const {
        return detail::async_drain(state_, std::move(executor), timeout, std::forward<Token>(completion_token));
    }

private:
    /// \param Request as it was deduced, with its reference
    template <class Request>
    auto run(std::remove_reference_t<Request>& request, detail::request_facts facts, execution* outer) const {
        facts.draining = state_->draining;
        return detail::synchronous_driver<state, Request>(*state_, std::forward<Request>(request), outer).run(facts);
    }

    /// Whose affair a request is.
    struct affair {
        bool is_ours = false;
        std::exception_ptr exception;  // of `options::applies`
    };

    template <class Request>
    static affair ask(state const& state, Request const& request) noexcept {
        try {
            return {detail::look_at(state.options, request).has_value(), nullptr};
        } catch (...) {
            return {false, std::current_exception()};
        }
    }

    /// \param execution an outer one, or what is to become that of a request without a key
    template <class Request, class Execution, class Token>
    auto call(Request&& request, Execution execution, Token& token) const {
        using request_type = std::remove_cvref_t<Request>;
        auto asked = ask(*state_, request);
        if constexpr (detail::awaits_in_place<Handler, request_type, Token>) {
            using executor_type = detail::token_executor<Token>;
            if (asked.is_ours) {
                return await_exchange<executor_type>(state_, request_type(std::forward<Request>(request)),
                                                     detail::outer_of(execution));
            }
            if (!asked.exception) {
                return detail::await_filtered<executor_type>(detail::unkeyed_access<state>{state_},
                                                             request_type(std::forward<Request>(request)),
                                                             std::move(execution));
            }
        }
        return asio::async_initiate<Token, void(http::message_generator)>(
            [state = state_, asked = std::move(asked), execution = std::move(execution)](auto completion,
                                                                                         request_type owned) mutable {
                initiate(state, std::move(asked), std::move(owned), std::move(execution), std::move(completion));
            },
            token, std::forward<Request>(request));
    }

    template <class Request, class Execution, class Completion>
    static void initiate(std::shared_ptr<state> const& state, affair asked, Request request, Execution execution,
                         Completion completion) {
        static_assert(async_store<Store> || nonblocking_store<Store>,
                      "idempo: this store may block its caller; a call with a completion token needs offload(store)");
        auto where = executor_of(*state, completion);
        constexpr bool has_executor = async_store<Store> || !detail::is_unbound<Completion>;
        static_assert(has_executor || detail::runs_at_once<Handler, Request>,
                      "idempo: this handler goes on after the call, and neither the completion token nor the store has "
                      "an executor: use asio::bind_executor(executor, token)");
        using driver = detail::asynchronous_driver<middleware::state, Request, Completion>;
        using access = detail::unkeyed_access<middleware::state>;
        using unkeyed = detail::filter_call<has_executor, access, Request, Execution, Completion>;
        if (asked.is_ours) {
            auto const call = std::make_shared<driver>(state, std::move(request), detail::outer_of(execution),
                                                       std::move(completion), std::move(where));
            return call->start();
        }
        auto const call = std::make_shared<unkeyed>(access{state}, std::move(request), std::move(execution),
                                                    std::move(completion), std::move(where));
        if (asked.exception) return call->fail(std::move(asked.exception));
        call->start();
    }

    /// A request with a key, in the coroutine of the caller. Where that can be cancelled, the handler has one of its
    /// own: it would be cancelled too, and Asio cannot give a coroutine its earlier cancellation state back.
    template <class Executor, class Request>
    static asio::awaitable<http::message_generator, Executor> await_exchange(std::shared_ptr<state> state,
                                                                             Request request, execution* outer) {
        using caller = detail::awaiting_caller<Executor>;
        using driver = detail::asynchronous_driver<middleware::state, Request, caller>;
        constexpr asio::use_awaitable_t<Executor> here;
        auto const cancellation = co_await asio::this_coro::cancellation_state;
        if (cancellation.slot().is_connected()) {
            co_return co_await asio::async_initiate<asio::use_awaitable_t<Executor> const,
                                                    void(http::message_generator)>(
                [&](auto completion) {
                    initiate(state, affair{true, nullptr}, std::move(request), outer, std::move(completion));
                },
                here);
        }
        // Not in one expression: GCC 12 destroys the executor twice where an aggregate takes it.
        auto const executor = co_await asio::this_coro::executor;
        caller self(executor);
        auto where = executor_of(*state, self);
        auto made =
            std::make_shared<driver>(std::move(state), std::move(request), outer, std::move(self), std::move(where));
        auto& call = *made;
        auto& turn = call.completion();
        std::shared_ptr<void> owner = std::move(made);
        call.start();
        if (!turn.has_turn()) owner = co_await turn.async_turn(owner, here);
        if (call.awaits_handler()) {
            try {
                call.call().answered(co_await call.invoke_handler());
            } catch (...) {
                call.call().threw(std::current_exception());
            }
            turn.end_turn();
            call.handled();
            if (!turn.has_turn()) owner = co_await turn.async_turn(owner, here);
        }
        co_return std::move(*turn.message());
    }

    template <class Completion>
    static detail::call_executor executor_of(state const& state, Completion const& completion) {
        if constexpr (async_store<Store>) {
            asio::any_io_executor const stores = state.store.get_executor();
            return {detail::io_executor(asio::get_associated_executor(completion, stores), stores), false};
        } else if constexpr (!detail::is_unbound<Completion>) {
            return {detail::io_executor(asio::get_associated_executor(completion), asio::system_executor()), false};
        } else {
            if (state.options.wait > std::chrono::milliseconds::zero()) {
                throw std::logic_error("idempo: options.wait needs an executor: asio::bind_executor(executor, token)");
            }
            return {asio::system_executor(), true};
        }
    }

    std::shared_ptr<state> state_;
};

template <class Handler, class Store>
inline constexpr bool takes_completion_token<middleware<Handler, Store>> =
    async_store<Store> || nonblocking_store<Store>;

}  // namespace idempo
