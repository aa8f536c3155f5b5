#pragma once

#include <idempo/execution.hpp>
#include <idempo/handler.hpp>
#include <idempo/layers/gate.hpp>
#include <idempo/layers/gate_call.hpp>
#include <idempo/layers/layer.hpp>

#include <boost/asio/async_result.hpp>
#include <boost/beast/http/message_generator.hpp>

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

namespace idempo::detail {

template <class T>
inline constexpr bool is_response = false;
template <class Body, class Fields>
inline constexpr bool is_response<http::response<Body, Fields>> = true;

/// What a gate can answer instead of its handler: see `reply_for`. A reply of a type of its own becomes a generator,
/// since it has no fields to set.
template <class Reply>
struct gated_reply : std::type_identity<http::message_generator> {};
template <class Body, class Fields>
struct gated_reply<http::response<Body, Fields>> : std::type_identity<reply_for<http::response<Body, Fields>>> {};

template <class Gate, class Handler>
struct gated_state {
    using gate_type = Gate;
    using handler_type = Handler;

    std::shared_ptr<Gate const> gate;
    /// Handlers may be callable only where they are not const, as those of the middleware.
    mutable Handler handler;
};

/// A handler behind a gate. It is called as a `middleware` is, and may stand wherever a handler may: copies share one
/// state, which every running operation owns too, and all calls may be made from any thread.
template <class Gate, class Handler>
class gated {
    using state = gated_state<Gate, Handler>;

public:
    gated(std::shared_ptr<Gate const> gate, Handler handler)
        : state_(std::make_shared<state const>(std::move(gate), std::move(handler))) {}

    /// For a synchronous session: runs on the calling thread and returns what to send. Passing allocates nothing but
    /// the fields that the gate gives to the response.
    template <request Request>
        requires(Gate::is_synchronous && std::invocable<Handler&, Request> &&
                 reply<std::invoke_result_t<Handler&, Request>>)
    auto operator()(Request&& request) const {
        return pass<std::invoke_result_t<Handler&, Request>>(std::forward<Request>(request), no_execution{});
    }

    /// As the inner handler of the idempotency layer, whose execution goes on to the handler.
    template <request Request>
        requires(Gate::is_synchronous && sync_handler<Handler, Request>)
    auto operator()(Request&& request, execution& execution) const {
        return pass<handler_result_t<Handler, Request>>(std::forward<Request>(request), &execution);
    }

    /// For callback and coroutine sessions: completes with `void(http::message_generator)`, on the token's associated
    /// executor and never from within this call. A token without an executor is completed where the gate or the handler
    /// is: on the calling thread, before this returns, where neither has an executor. What is thrown is answered by
    /// 500.
    template <request Request, asio::completion_token_for<void(http::message_generator)> Token>
        requires handler<Handler, std::remove_cvref_t<Request>>
    auto operator()(Request&& request, Token&& token) const {
        return initiate(std::forward<Request>(request), no_execution{}, token);
    }

    template <request Request, asio::completion_token_for<void(http::message_generator)> Token>
        requires handler<Handler, std::remove_cvref_t<Request>>
    auto operator()(Request&& request, execution& execution, Token&& token) const {
        return initiate(std::forward<Request>(request), &execution, token);
    }

private:
    template <class Result, class Request, class Execution>
    auto pass(Request&& request, Execution execution) const {
        using reply_type = typename gated_reply<std::remove_cvref_t<Result>>::type;
        auto said = state_->gate->check(request);
        if (said.answer) {
            said.fields.apply_to(*said.answer);
            return reply_type(std::move(*said.answer));
        }
        if constexpr (is_response<std::remove_cvref_t<Result>>) {
            auto response = invoke_inner(state_->handler, std::forward<Request>(request), execution);
            said.fields.apply_to(response);
            return reply_type(std::move(response));
        } else {
            http::message_generator message(invoke_inner(state_->handler, std::forward<Request>(request), execution));
            return reply_type(said.fields.applied_to(std::move(message)));
        }
    }

    template <class Request, class Execution, class Token>
    auto initiate(Request&& request, Execution execution, Token& token) const {
        return asio::async_initiate<Token, void(http::message_generator)>(
            [state = state_, execution](auto completion, std::remove_cvref_t<Request> owned) {
                using call = gate_call<gated::state, decltype(owned), Execution, decltype(completion)>;
                std::make_shared<call>(state, std::move(owned), execution, std::move(completion))->start();
            },
            token, std::forward<Request>(request));
    }

    std::shared_ptr<state const> state_;
};

/// Puts its gate before handlers. Copies, and all that they wrap, share the gate.
template <class Gate>
class gate_layer : public layer_base {
public:
    explicit gate_layer(std::shared_ptr<Gate const> gate) : gate_(std::move(gate)) {}

    template <class Handler>
    gated<Gate, Handler> operator()(Handler handler) const {
        return {gate_, std::move(handler)};
    }

private:
    std::shared_ptr<Gate const> gate_;
};

}  // namespace idempo::detail

template <class Gate, class Handler>
inline constexpr bool idempo::takes_completion_token<idempo::detail::gated<Gate, Handler>> = true;
