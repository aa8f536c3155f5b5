// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/call_completion.hpp>
#include <idempo/exchange/handler_call.hpp>
#include <idempo/handler.hpp>
#include <idempo/layers/filter.hpp>
#include <idempo/layers/layer.hpp>
#include <idempo/observer_fwd.hpp>
#include <idempo/problem.hpp>
#include <idempo/record/response_fields.hpp>
#include <idempo/request_head.hpp>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/system_executor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/string_body.hpp>

#include <concepts>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

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

inline no_execution argument_of(no_execution none) noexcept { return none; }
inline execution* argument_of(execution* outer) noexcept { return outer; }

/// The filter or its layer has answered. Nothing is told where no idempotency layer is further out.
void tell_refused(execution* outer) noexcept;
template <class Other>
void tell_refused(Other const&) noexcept {}

/// What threw is not the handler's: its effect has happened, unless it has said otherwise.
void tell_answered(execution* outer) noexcept;
template <class Other>
void tell_answered(Other const&) noexcept {}

void tell_threw(observer const& observer, std::exception_ptr exception) noexcept;

/// What a request gets that has gone through a filter: the filter's answer, the handler's, or one that says that
/// something threw.
///
/// `Access` has `filter()`, `handler()`, `observer()` and `failure(answered_request)`; copies share what they give.
template <class Access, class Execution>
class filter_answers {
    using result_type = typename Access::filter_type::result_type;

public:
    /// \param execution of a layer further out, or `no_execution`
    template <class Request>
    filter_answers(Access access, Request const& request, Execution execution)
        : access_(std::move(access)),
          answered_(request),
          execution_(execution) {}

    [[nodiscard]] Access const& access() const noexcept { return access_; }
    [[nodiscard]] Execution execution() const noexcept { return execution_; }

    void said(result_type result) { said_ = std::move(result); }
    [[nodiscard]] bool is_refused() const noexcept { return static_cast<bool>(said_.answer); }

    /// An answer of the filter's own must not be stored by a layer further out.
    [[nodiscard]] http::message_generator refused() {
        tell_refused(execution_);
        return answer(std::move(*said_.answer));
    }

    template <class Response>
    [[nodiscard]] http::message_generator handled(Response response) {
        try {
            return with_fields(std::move(response));
        } catch (...) {  // not the handler's throw: its effect has happened
            tell_answered(execution_);
            return threw(std::current_exception());
        }
    }

    [[nodiscard]] http::message_generator handled(completed_reply completed) {
        return std::visit([this](auto&& reply) { return this->handled(std::forward<decltype(reply)>(reply)); },
                          std::move(completed.reply));
    }

    [[nodiscard]] http::message_generator threw(std::exception_ptr exception) {
        tell_threw(access_.observer(), std::move(exception));
        return answer(access_.failure(answered_));
    }

    /// Lets go of filter and handler: whoever is told may end what they need, while their owner still lives on another
    /// thread.
    void release() { auto const dropped = std::move(access_); }

private:
    [[nodiscard]] http::message_generator answer(http::response<http::string_body> answer) {
        return message_or([&] { return with_fields(std::move(answer)); },
                          [this] { return access_.failure(answered_); });
    }

    template <class Body, class Fields>
    [[nodiscard]] http::message_generator with_fields(http::response<Body, Fields> response) const {
        said_.fields.apply_to(response);
        return to_generator(std::move(response));
    }

    [[nodiscard]] http::message_generator with_fields(http::message_generator message) const {
        return said_.fields.applied_to(std::move(message));
    }

    Access access_;
    answered_request answered_;
    Execution execution_;
    result_type said_{};
};

/// One request on its way through a filter to any kind of handler, in the call with a completion token. It owns all
/// that it refers to but an outer execution, which lives until the outermost call has answered, and is owned by what it
/// waits for. The caller's cancellation reaches the handler.
template <bool HasExecutor, class Access, class Request, class Execution, class Completion>
class filter_call
    : public std::enable_shared_from_this<filter_call<HasExecutor, Access, Request, Execution, Completion>> {
    using filter_type = typename Access::filter_type;
    using handler_type = typename Access::handler_type;
    using call_type = handler_call<filter_call, handler_type, Request>;

public:
    /// False: there is only the calling thread.
    static constexpr bool has_executor = HasExecutor;

    filter_call(Access access, Request&& request, Execution&& execution, Completion&& completion, call_executor where)
        : request_(std::move(request)),
          execution_(std::move(execution)),
          answers_(std::move(access), request_, argument_of(execution_)),
          completion_(std::move(completion), std::move(where)) {}

    void start() {
        auto const self = this->shared_from_this();
        auto const access = answers_.access();  // the filter may go on after its answer
        std::exception_ptr exception;           // no member: what async_check begins may have gone on in another thread
        try {
            if constexpr (filter_type::is_asynchronous) {
                completion_.expect();
                access.filter().async_check(
                    request_, asio::bind_executor(completion_.where().executor, [self](filter_result said) {
                        self->answers_.said(std::move(said));
                        self->go_on();
                    }));
            } else {
                answers_.said(access.filter().check(request_));
            }
        } catch (...) {  // one of the caller's functions
            exception = std::current_exception();
        }
        if (exception) {
            fail(std::move(exception));
        } else if constexpr (!filter_type::is_asynchronous) {
            go_on();
        }
        completion_.initiated();
    }

    /// Instead of `start`: one of the caller's functions has thrown already.
    void fail(std::exception_ptr exception) { complete(answers_.threw(std::move(exception))); }

    /// \name For `handler_call`
    /// @{
    [[nodiscard]] call_type& call() noexcept { return call_; }
    void handled() {
        if (call_.exception()) return fail(call_.exception());
        complete(answers_.handled(std::move(call_.response())));
    }
    void threw_late(std::exception_ptr exception) const {
        tell_threw(answers_.access().observer(), std::move(exception));
    }
    /// @}

private:
    void go_on() {
        if (answers_.is_refused()) return complete(answers_.refused());
        if constexpr (call_type::runs_with_token) completion_.expect();
        auto const slot = asio::get_associated_cancellation_slot(completion_.handler());
        auto const access = answers_.access();  // the handler may go on after its answer
        bool const there = call_.start(this->shared_from_this(), access.handler(), request_, answers_.execution(),
                                       completion_.where(), slot);
        if (there) handled();
    }

    void complete(http::message_generator message) {
        answers_.release();
        completion_.complete(std::move(message));
    }

    Request request_;
    Execution execution_;
    filter_answers<Access, decltype(argument_of(std::declval<Execution&>()))> answers_;
    call_completion<Completion> completion_;
    call_type call_;
};

/// Of the coroutine that awaits a call with this token.
template <class Token>
struct awaiting_executor {};
template <class Executor>
struct awaiting_executor<asio::use_awaitable_t<Executor>> : std::type_identity<Executor> {};
template <class Token>
using token_executor = typename awaiting_executor<std::remove_cvref_t<Token>>::type;

/// Whether a call with this token is a coroutine that can await the handler itself. Spawning another for it, and coming
/// back, costs as much as a fifth of a small request.
template <class Handler, class Request, class Token>
concept awaits_in_place =
    !takes_completion_token<Handler> && awaitable_handler<Handler, Request> &&
    std::same_as<typename awaited<handler_result_t<Handler, Request>>::executor_type, token_executor<Token>>;

/// As `filter_call`, in the coroutine of the caller. The filter says at once.
template <class Executor, class Access, class Request, class Execution>
asio::awaitable<http::message_generator, Executor> await_filtered(Access access, Request request, Execution execution) {
    auto const outer = argument_of(execution);
    filter_answers answers(std::move(access), request, outer);
    std::exception_ptr exception;
    try {
        answers.said(answers.access().filter().check(request));
    } catch (...) {  // one of the caller's functions
        exception = std::current_exception();
    }
    if (exception) co_return answers.threw(std::move(exception));
    if (answers.is_refused()) co_return answers.refused();
    auto const kept = answers.access();  // names the handler until it has ended
    std::optional<typename awaited<handler_result_t<typename Access::handler_type, Request>>::type> response;
    try {
        response.emplace(co_await invoke_inner(kept.handler(), std::move(request), outer));
    } catch (...) {
        exception = std::current_exception();
    }
    if (exception) co_return answers.threw(std::move(exception));
    co_return answers.handled(std::move(*response));
}

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

/// A completion token of the calls below. An execution is none, and may be incomplete here, so Asio is not asked.
template <class Token>
concept message_token = !std::same_as<std::remove_cvref_t<Token>, execution> &&
                        asio::completion_token_for<Token, void(http::message_generator)>;

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
    template <request Request, message_token Token>
        requires handler<Handler, std::remove_cvref_t<Request>>
    auto operator()(Request&& request, Token&& token) const {
        return initiate(std::forward<Request>(request), no_execution{}, token);
    }

    template <request Request, message_token Token>
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
        using access = filtered_access<Filter, Handler>;
        using request_type = std::remove_cvref_t<Request>;
        if constexpr (!Filter::is_asynchronous && awaits_in_place<Handler, request_type, Token>) {
            return await_filtered<token_executor<Token>>(access{state_}, request_type(std::forward<Request>(request)),
                                                         execution);
        } else {
            return asio::async_initiate<Token, void(http::message_generator)>(
                [state = state_, execution](auto completion, request_type owned) mutable {
                    using completion_type = decltype(completion);
                    constexpr bool has_executor = Filter::is_asynchronous || !is_unbound<completion_type>;
                    using call = filter_call<has_executor, access, request_type, Execution, completion_type>;
                    auto where = executor_of<request_type>(*state->filter, completion);
                    std::make_shared<call>(access{std::move(state)}, std::move(owned), std::move(execution),
                                           std::move(completion), std::move(where))
                        ->start();
                },
                token, std::forward<Request>(request));
        }
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
