#pragma once

#include <idempo/detail/call_executor.hpp>
#include <idempo/execution.hpp>
#include <idempo/handler.hpp>
#include <idempo/layers/gate.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/append.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/associator.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/system_executor.hpp>
#include <boost/beast/http/message_generator.hpp>

#include <atomic>
#include <concepts>
#include <exception>
#include <memory>
#include <optional>
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

/// What an inner handler with a token completes. Its executor, cancellation slot and allocator are the outer caller's.
template <class Call>
struct inner_completion {
    std::shared_ptr<Call> call;

    void operator()(http::message_generator message) const { call->answered(std::move(message)); }
    void operator()(std::exception_ptr exception) const { call->threw(std::move(exception)); }
};

/// One request on its way through a gate to any kind of handler, in the call with a completion token. It owns all that
/// it refers to but the execution, which lives until the outermost call has answered, and is owned by what it waits
/// for.
template <class State, class Request, class Execution, class Completion>
class gate_call : public std::enable_shared_from_this<gate_call<State, Request, Execution, Completion>> {
    using gate_type = typename State::gate_type;
    using handler_type = typename State::handler_type;

    static constexpr bool is_unbound = detail::is_unbound<Completion>;
    static constexpr bool runs_with_token = takes_completion_token<handler_type>;
    static constexpr bool runs_at_once = detail::runs_at_once<handler_type, Request>;

    static_assert(!is_unbound || gate_type::is_asynchronous || runs_with_token || runs_at_once,
                  "idempo: this handler goes on after the call, and the completion token has no executor: use "
                  "asio::bind_executor(executor, token)");

public:
    gate_call(std::shared_ptr<State const> state, Request&& request, Execution execution, Completion&& completion)
        : state_(std::move(state)),
          request_(std::move(request)),
          line_(request_),
          execution_(execution),
          completion_(std::move(completion)),
          where_(executor_of(*state_, completion_)),
          work_(asio::make_work_guard(where_.executor)) {}

    void start() {
        auto const self = this->shared_from_this();
        std::exception_ptr exception;  // no member: what async_check begins may have gone on in another thread
        try {
            if constexpr (gate_type::is_asynchronous) {
                state_->gate->async_check(request_, asio::bind_executor(where_.executor, [self](verdict said) {
                                              self->judged(std::move(said));
                                          }));
            } else {
                said_ = state_->gate->check(request_);
            }
        } catch (...) {  // one of the caller's functions
            exception = std::current_exception();
        }
        if (exception) {
            threw(std::move(exception));
        } else if constexpr (!gate_type::is_asynchronous) {
            go_on();
        }
        initiated_ = true;
    }

    /// The handler's answer.
    template <class Response>
    void answered(Response response) {
        respond(with_fields(std::move(response)));
    }

    /// The handler has thrown.
    void threw(std::exception_ptr exception) {
        refusal_style style;
        tell_exception(state_->gate->observer(), std::move(exception));
        answered(style.refuse({refusal::handler_threw, {}, {}}, line_));
    }

    [[nodiscard]] Completion const& completion() const noexcept { return completion_; }

private:
    static call_executor executor_of(State const& state, Completion const& completion) {
        if constexpr (!is_unbound) {
            return {asio::get_associated_executor(completion), false};
        } else if constexpr (gate_type::is_asynchronous) {
            return {state.gate->get_executor(), false};
        } else {
            return {asio::system_executor(), true};
        }
    }

    void judged(verdict said) {
        said_ = std::move(said);
        go_on();
    }

    void go_on() {
        if (said_.answer) return answered(std::move(*said_.answer));
        if constexpr (runs_with_token) {
            run_with_token();
        } else if constexpr (runs_at_once) {
            run_at_once();
        } else {
            run_coroutine();
        }
    }

    void run_with_token() {
        inner_completion<gate_call> done{this->shared_from_this()};
        std::exception_ptr exception;
        try {
            if constexpr (is_unbound && !gate_type::is_asynchronous) {
                invoke_inner(state_->handler, std::move(request_), execution_, std::move(done));
            } else {
                invoke_inner(state_->handler, std::move(request_), execution_,
                             asio::bind_executor(where_.executor, std::move(done)));
            }
        } catch (...) {
            exception = std::current_exception();
        }
        if (exception) threw(std::move(exception));
    }

    void run_at_once() {
        std::optional<http::message_generator> message;
        std::exception_ptr exception;
        try {
            message.emplace(with_fields(invoke_inner(state_->handler, std::move(request_), execution_)));
        } catch (...) {
            exception = std::current_exception();
        }
        if (exception) return threw(std::move(exception));
        respond(std::move(*message));
    }

    void run_coroutine() {
        asio::co_spawn(
            where_.executor, await_handler(this->shared_from_this()),
            asio::bind_executor(where_.executor, [self = this->shared_from_this()](std::exception_ptr exception) {
                if (exception) return self->threw(std::move(exception));
                self->respond(std::move(*self->message_));
            }));
    }

    static asio::awaitable<void> await_handler(std::shared_ptr<gate_call> self) {
        auto response = co_await invoke_inner(self->state_->handler, std::move(self->request_), self->execution_);
        self->message_.emplace(self->with_fields(std::move(response)));
    }

    template <class Body, class Fields>
    http::message_generator with_fields(http::response<Body, Fields> response) const {
        said_.fields.apply_to(response);
        return http::message_generator(std::move(response));
    }

    http::message_generator with_fields(http::message_generator message) const {
        return said_.fields.applied_to(std::move(message));
    }

    /// Never from within the initiating call, unless there is only the calling thread.
    void respond(http::message_generator message) {
        auto const self = this->shared_from_this();
        auto completion = std::move(completion_);
        auto const work = std::move(work_);
        if (where_.calling_thread_only) {
            std::move(completion)(std::move(message));
        } else if (initiated_) {
            asio::dispatch(where_.executor, asio::append(std::move(completion), std::move(message)));
        } else {
            asio::post(where_.executor, asio::append(std::move(completion), std::move(message)));
        }
    }

    std::shared_ptr<State const> state_;
    Request request_;
    answered_request line_;
    Execution execution_;
    Completion completion_;
    call_executor where_;
    asio::executor_work_guard<asio::any_io_executor> work_;
    verdict said_;
    std::optional<http::message_generator> message_;
    /// Set as the call returns, when the request may have gone on elsewhere.
    std::atomic<bool> initiated_{false};
};

}  // namespace idempo::detail

template <template <class, class> class Associator, class State, class Request, class Execution, class Completion,
          class Default>
struct boost::asio::associator<
    Associator, idempo::detail::inner_completion<idempo::detail::gate_call<State, Request, Execution, Completion>>,
    Default> : Associator<Completion, Default> {
    using completion_type =
        idempo::detail::inner_completion<idempo::detail::gate_call<State, Request, Execution, Completion>>;

    static auto get(completion_type const& from) noexcept {
        return Associator<Completion, Default>::get(from.call->completion());
    }
    static auto get(completion_type const& from, Default const& fallback) noexcept {
        return Associator<Completion, Default>::get(from.call->completion(), fallback);
    }
};
