// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/answered_request.hpp>
#include <idempo/detail/call_executor.hpp>
#include <idempo/exchange/completion.hpp>
#include <idempo/exchange/handler_call.hpp>
#include <idempo/execution.hpp>
#include <idempo/handler.hpp>
#include <idempo/layers/filter.hpp>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/string_body.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <utility>

namespace idempo::detail {

/// Owned by the call: the execution of a request that is none of an idempotency layer's business.
struct unkeyed_execution {
    unkeyed_execution() = default;
    /// It moves only before it is used: what is moved to is as new.
    unkeyed_execution(unkeyed_execution&&) noexcept {}
    unkeyed_execution& operator=(unkeyed_execution&&) = delete;
    ~unkeyed_execution() = default;

    execution own;
};

inline no_execution argument_of(no_execution none) noexcept { return none; }
inline execution* argument_of(execution* outer) noexcept { return outer; }
inline execution* argument_of(unkeyed_execution& unkeyed) noexcept { return &unkeyed.own; }

/// Nothing is told where no idempotency layer is further out.
inline void tell_refused(execution* outer) noexcept { outer->release(); }
template <class Other>
void tell_refused(Other const&) noexcept {}

/// What threw is not the handler's: its effect has happened, unless it has said otherwise.
inline void tell_answered(execution* outer) noexcept {
    if (outer->decision() == execution::verdict::by_policy) outer->keep();
}
template <class Other>
void tell_answered(Other const&) noexcept {}

/// One request on its way through a filter to any kind of handler, in the call with a completion token. It owns all
/// that it refers to but an outer execution, which lives until the outermost call has answered, and is owned by what it
/// waits for. The caller's cancellation reaches the handler.
///
/// `Access` has `filter()`, `handler()`, `observer()` and `failure(answered_request)`; copies share what they give.
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
        : access_(std::move(access)),
          request_(std::move(request)),
          answered_(request_),
          execution_(std::move(execution)),
          completion_(std::move(completion), std::move(where)) {}

    void start() {
        auto const self = this->shared_from_this();
        auto const access = access_;   // the filter may go on after its answer
        std::exception_ptr exception;  // no member: what async_check begins may have gone on in another thread
        try {
            if constexpr (filter_type::is_asynchronous) {
                access_.filter().async_check(request_,
                                             asio::bind_executor(completion_.where().executor, [self](verdict said) {
                                                 self->said_ = std::move(said);
                                                 self->go_on();
                                             }));
            } else {
                said_ = access_.filter().check(request_);
            }
        } catch (...) {  // one of the caller's functions
            exception = std::current_exception();
        }
        if (exception) {
            threw(std::move(exception));
        } else if constexpr (!filter_type::is_asynchronous) {
            go_on();
        }
        completion_.initiated();
    }

    /// Instead of `start`: one of the caller's functions has thrown already.
    void fail(std::exception_ptr exception) { threw(std::move(exception)); }

    /// \name For `handler_call`
    /// @{
    [[nodiscard]] call_type& call() noexcept { return call_; }
    void handled() {
        if (call_.exception()) return threw(call_.exception());
        std::exception_ptr exception;
        std::optional<http::message_generator> message;
        try {
            message.emplace(with_fields(std::move(call_.response())));
        } catch (...) {  // no longer the handler's throw: its effect has happened
            exception = std::current_exception();
        }
        if (!exception) return complete(std::move(*message));
        tell_answered(execution_);
        threw(std::move(exception));
    }
    void threw_late(std::exception_ptr exception) const { tell_exception(access_.observer(), std::move(exception)); }
    /// @}

private:
    void go_on() {
        if (said_.answer) {
            // An answer of the filter's own must not be stored by a layer further out.
            tell_refused(execution_);
            return answer(std::move(*said_.answer));
        }
        auto const slot = asio::get_associated_cancellation_slot(completion_.handler());
        auto const access = access_;  // the handler may go on after its answer
        bool const there = call_.start(this->shared_from_this(), access_.handler(), request_, argument_of(execution_),
                                       completion_.where(), slot);
        if (there) handled();
    }

    void threw(std::exception_ptr exception) {
        tell_exception(access_.observer(), std::move(exception));
        answer(access_.failure(answered_));
    }

    void answer(http::response<http::string_body> answer) {
        complete(
            message_or([&] { return with_fields(std::move(answer)); }, [this] { return access_.failure(answered_); }));
    }

    /// Lets go of filter and handler first: whoever is told may end what they need, while this object still lives on
    /// another thread.
    void complete(http::message_generator message) {
        { auto const dropped = std::move(access_); }
        completion_.complete(std::move(message));
    }

    template <class Body, class Fields>
    http::message_generator with_fields(http::response<Body, Fields> response) const {
        said_.fields.apply_to(response);
        return http::message_generator(std::move(response));
    }

    http::message_generator with_fields(http::message_generator message) const {
        return said_.fields.applied_to(std::move(message));
    }

    Access access_;
    Request request_;
    answered_request answered_;
    Execution execution_;
    call_completion<Completion> completion_;
    call_type call_;
    verdict said_;
};

}  // namespace idempo::detail
