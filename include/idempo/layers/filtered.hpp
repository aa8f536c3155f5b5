// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/answered_request.hpp>
#include <idempo/detail/call_executor.hpp>
#include <idempo/execution.hpp>
#include <idempo/handler.hpp>
#include <idempo/layers/filter.hpp>
#include <idempo/layers/filter_call.hpp>
#include <idempo/layers/layer.hpp>
#include <idempo/observer.hpp>
#include <idempo/problem.hpp>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/system_executor.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/string_body.hpp>

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

namespace idempo::detail {

template <class T>
inline constexpr bool is_response = false;
template <class Body, class Fields>
inline constexpr bool is_response<http::response<Body, Fields>> = true;

/// What a filter can answer instead of its handler: see `reply_for`. A reply of a type of its own becomes a generator,
/// since it has no fields to set.
template <class Reply>
struct filtered_reply : std::type_identity<http::message_generator> {};
template <class Body, class Fields>
struct filtered_reply<http::response<Body, Fields>> : std::type_identity<reply_for<http::response<Body, Fields>>> {};

template <class Filter, class Handler>
struct filtered_state {
    using filter_type = Filter;
    using handler_type = Handler;

    std::shared_ptr<Filter const> filter;
    /// Handlers may be callable only where they are not const, as those of the middleware.
    mutable Handler handler;
};

/// For `filter_call`.
template <class Filter, class Handler>
struct filtered_access {
    using filter_type = Filter;
    using handler_type = Handler;

    std::shared_ptr<filtered_state<Filter, Handler> const> state;

    [[nodiscard]] Filter const& filter() const noexcept { return *state->filter; }
    [[nodiscard]] Handler& handler() const noexcept { return state->handler; }
    [[nodiscard]] idempo::observer const& observer() const noexcept { return state->filter->observer(); }
    [[nodiscard]] static http::response<http::string_body> failure(answered_request const& request) {
        return make_refusal(problem_table(), write_problem_json, {refusal::handler_threw, {}, {}}, request);
    }
};

/// A handler behind a filter. It is called as a `middleware` is, and may stand wherever a handler may: copies share one
/// state, which every running operation owns too, and all calls may be made from any thread.
template <class Filter, class Handler>
class filtered {
    using state = filtered_state<Filter, Handler>;

public:
    filtered(std::shared_ptr<Filter const> filter, Handler handler)
        : state_(std::make_shared<state const>(std::move(filter), std::move(handler))) {}

    /// For a synchronous session: runs on the calling thread and returns what to send. Passing allocates nothing but
    /// the fields that the filter gives to the response.
    template <request Request>
        requires(Filter::is_synchronous && std::invocable<Handler&, Request> &&
                 reply<std::invoke_result_t<Handler&, Request>>)
    auto operator()(Request&& request) const {
        return pass<std::invoke_result_t<Handler&, Request>>(std::forward<Request>(request), no_execution{});
    }

    /// As the inner handler of the idempotency layer, whose execution goes on to the handler.
    template <request Request>
        requires(Filter::is_synchronous && sync_handler<Handler, Request>)
    auto operator()(Request&& request, execution& execution) const {
        return pass<handler_result_t<Handler, Request>>(std::forward<Request>(request), &execution);
    }

    /// For callback and coroutine sessions: completes with `void(http::message_generator)`, on the token's associated
    /// executor and never from within this call. A token without an executor is completed where the filter or the
    /// handler is: on the calling thread, before this returns, where neither has an executor. What is thrown is
    /// answered by 500.
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
        using reply_type = typename filtered_reply<std::remove_cvref_t<Result>>::type;
        auto said = state_->filter->check(request);
        if (said.answer) {
            tell_refused(execution);
            said.fields.apply_to(*said.answer);
            return reply_type(std::move(*said.answer));
        }
        std::remove_cvref_t<Result> answer = invoke_inner(state_->handler, std::forward<Request>(request), execution);
        try {
            if constexpr (is_response<std::remove_cvref_t<Result>>) {
                said.fields.apply_to(answer);
                return reply_type(std::move(answer));
            } else {
                return reply_type(said.fields.applied_to(http::message_generator(std::move(answer))));
            }
        } catch (...) {
            tell_answered(execution);
            throw;
        }
    }

    template <class Request, class Execution, class Token>
    auto initiate(Request&& request, Execution execution, Token& token) const {
        return asio::async_initiate<Token, void(http::message_generator)>(
            [state = state_, execution](auto completion, std::remove_cvref_t<Request> owned) mutable {
                using access = filtered_access<Filter, Handler>;
                using completion_type = decltype(completion);
                constexpr bool has_executor = Filter::is_asynchronous || !is_unbound<completion_type>;
                using call = filter_call<has_executor, access, decltype(owned), Execution, completion_type>;
                auto where = executor_of<std::remove_cvref_t<Request>>(*state->filter, completion);
                std::make_shared<call>(access{std::move(state)}, std::move(owned), std::move(execution),
                                       std::move(completion), std::move(where))
                    ->start();
            },
            token, std::forward<Request>(request));
    }

    template <class Request, class Completion>
    static call_executor executor_of(Filter const& filter, Completion const& completion) {
        static_assert(!is_unbound<Completion> || Filter::is_asynchronous || takes_completion_token<Handler> ||
                          runs_at_once<Handler, Request>,
                      "idempo: this handler goes on after the call, and the completion token has no executor: use "
                      "asio::bind_executor(executor, token)");
        if constexpr (!is_unbound<Completion>) {
            return {io_executor(asio::get_associated_executor(completion), asio::system_executor()), false};
        } else if constexpr (Filter::is_asynchronous) {
            return {filter.get_executor(), false};
        } else {
            return {asio::system_executor(), true};
        }
    }

    std::shared_ptr<state const> state_;
};

/// Puts its filter before handlers. Copies, and all that they wrap, share the filter.
template <class Filter>
class filter_layer : public layer_base {
public:
    explicit filter_layer(std::shared_ptr<Filter const> filter) : filter_(std::move(filter)) {}

    template <class Handler>
    filtered<Filter, Handler> operator()(Handler handler) const {
        return {filter_, std::move(handler)};
    }

private:
    std::shared_ptr<Filter const> filter_;
};

}  // namespace idempo::detail

template <class Filter, class Handler>
inline constexpr bool idempo::takes_completion_token<idempo::detail::filtered<Filter, Handler>> = true;
