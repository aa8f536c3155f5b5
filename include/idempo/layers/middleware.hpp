#pragma once

#include <idempo/detail/call_executor.hpp>
#include <idempo/exchange/admission.hpp>
#include <idempo/exchange/asynchronous_driver.hpp>
#include <idempo/exchange/middleware_state.hpp>
#include <idempo/exchange/synchronous_driver.hpp>
#include <idempo/handler.hpp>
#include <idempo/options.hpp>
#include <idempo/store.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/system_executor.hpp>
#include <boost/beast/http/message_generator.hpp>

#include <chrono>
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
    /// \throws std::invalid_argument if the options are invalid.
    middleware(Handler handler, Store store, idempo::options options = {}) {
        validate(options);
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
        if (auto const facts = detail::look_at(state_->options, request)) {
            return detail::synchronous_driver<state, Request>(*state_, std::forward<Request>(request)).run(*facts);
        }
        execution unkeyed;
        return detail::invoke_handler(state_->handler, std::forward<Request>(request), unkeyed);
    }

    /// As the inner handler of a layer that passes its own execution on. This middleware makes one of its own.
    template <request Request>
        requires sync_handler<Handler, Request> && store<Store>
    detail::reply_for<detail::handler_result_t<Handler, Request>> operator()(Request&& request, execution&) const {
        return (*this)(std::forward<Request>(request));
    }

    /// For callback and coroutine sessions: completes with `void(http::message_generator)`.
    ///
    /// Handler, store and completion meet on the token's associated executor, by default the store's. A store without
    /// an executor (`memory_store`) needs one from the token (`asio::bind_executor`), unless the handler is a plain
    /// function: then everything happens on the calling thread and the completion is called before this returns.
    /// Otherwise the completion is never called from within this call. A handler that throws answers 500.
    ///
    /// Cancellation ends the waiting for another request (`options::wait`), with 409. Once the claim is granted nothing
    /// stops the handler and the storing of its response: the operation owns the request, the handler and the store.
    template <request Request, asio::completion_token_for<void(http::message_generator)> Token>
        requires handler<Handler, std::remove_cvref_t<Request>>
    auto operator()(Request&& request, Token&& completion_token) const {
        return asio::async_initiate<Token, void(http::message_generator)>(
            [state = state_](auto completion, std::remove_cvref_t<Request> owned) {
                initiate(state, std::move(owned), std::move(completion));
            },
            completion_token, std::forward<Request>(request));
    }

    /// Waits until no keyed request is in flight, for shutdown: call it when nothing new is accepted, and not on a
    /// thread that those requests need. Returns whether that came about within the timeout.
    bool drain(std::chrono::milliseconds timeout) const { return detail::drain(state_->in_flight, timeout); }

    /// As `drain`, without blocking: completes with `void(error_code, bool drained)` on the token's executor, by
    /// default the given one. Cancellation ends it early.
    template <asio::completion_token_for<void(error_code, bool)> Token>
    auto async_drain(asio::any_io_executor executor, std::chrono::milliseconds timeout,
                     Token&& completion_token) const {
        auto timer = std::make_unique<asio::steady_timer>(executor);
        auto const until = detail::end_of(timeout);
        return asio::async_compose<Token, void(error_code, bool)>(
            [state = state_, timer = std::move(timer), until, started = false](auto& self,
                                                                               error_code error = {}) mutable {
                bool const drained = state->in_flight == 0;
                bool const ended = error || drained || std::chrono::steady_clock::now() >= until;
                if (!started) self.reset_cancellation_state(asio::enable_total_cancellation());
                if (ended && started) {
                    timer.reset();
                    return self.complete(error, drained);
                }
                started = true;
                timer->expires_after(ended ? std::chrono::milliseconds{0} : detail::drain_interval);
                auto& waiting = *timer;
                waiting.async_wait(std::move(self));
            },
            completion_token, executor);
    }

private:
    template <class Request, class Completion>
    static void initiate(std::shared_ptr<state> const& state, Request request, Completion completion) {
        static_assert(async_store<Store> || nonblocking_store<Store>,
                      "idempo: this store may block its caller; a call with a completion token needs offload(store)");
        auto where = executor_of(*state, completion);
        constexpr bool has_executor = async_store<Store> || !detail::is_unbound<Completion>;
        static_assert(has_executor || detail::runs_at_once<Handler, Request>,
                      "idempo: this handler goes on after the call, and neither the completion token nor the store has "
                      "an executor: use asio::bind_executor(executor, token)");
        using driver = detail::asynchronous_driver<middleware::state, Request, Completion>;
        std::make_shared<driver>(state, std::move(request), std::move(completion), std::move(where))->start();
    }

    template <class Completion>
    static detail::call_executor executor_of(state const& state, Completion const& completion) {
        if constexpr (async_store<Store>) {
            return {asio::get_associated_executor(completion, state.store.get_executor()), false};
        } else if constexpr (!detail::is_unbound<Completion>) {
            return {asio::get_associated_executor(completion), false};
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
