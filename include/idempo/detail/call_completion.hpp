// SPDX-License-Identifier: MIT
#pragma once

#include <boost/asio/any_completion_executor.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/append.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/query.hpp>
#include <boost/beast/http/message_generator.hpp>

#include <atomic>
#include <concepts>
#include <optional>
#include <type_traits>
#include <utility>

/// \file
/// Where a call with a completion token works, and how it completes.

namespace idempo::detail {

namespace http = boost::beast::http;

/// If neither the token nor the store has an executor, the
/// calling thread does all the work before the call returns.
struct call_executor {
    boost::asio::any_io_executor executor;
    bool calling_thread_only = false;
};

struct without_executor {};

/// Whether nobody bound an executor to the completion. Sessions do not expect to continue on Asio's default executor
/// (`system_executor`, a hidden pool of threads, or since Asio 1.37 `inline_executor`).
template <class Completion>
inline constexpr bool is_unbound = std::is_same_v<boost::asio::associated_executor_t<Completion>,
                                                  boost::asio::associated_executor_t<without_executor>>;

/// The executor of an `any_completion_handler`, which does not say to which context it belongs, as one for timers and
/// coroutines: with the context of another executor.
class borrowed_context_executor {
public:
    borrowed_context_executor(boost::asio::any_completion_executor target, boost::asio::execution_context& context)
        : target_(std::move(target)),
          context_(&context) {}

    [[nodiscard]] boost::asio::execution_context& query(boost::asio::execution::context_t) const noexcept {
        return *context_;
    }
    /// What the target may do with it.
    template <class Property>
        requires(boost::asio::can_prefer_v<boost::asio::any_completion_executor, Property>)
    [[nodiscard]] borrowed_context_executor require(Property property) const {
        return {boost::asio::prefer(target_, property), *context_};
    }

    template <class Function>
    void execute(Function&& function) const {
        target_.execute(std::forward<Function>(function));
    }

    friend bool operator==(borrowed_context_executor const& a, borrowed_context_executor const& b) noexcept {
        return a.target_ == b.target_ && a.context_ == b.context_;
    }
    friend bool operator!=(borrowed_context_executor const& a, borrowed_context_executor const& b) noexcept {
        return !(a == b);
    }

private:
    boost::asio::any_completion_executor target_;
    boost::asio::execution_context* context_;
};

/// `executor`, with the context of `lender` where it knows of none.
template <class Executor>
boost::asio::any_io_executor io_executor(Executor const& executor, boost::asio::any_io_executor const& lender) {
    if constexpr (std::constructible_from<boost::asio::any_io_executor, Executor const&>) {
        return executor;
    } else {
        return borrowed_context_executor(executor, boost::asio::query(lender, boost::asio::execution::context));
    }
}

/// The completion handler of one call, on its executor: never from within the initiating call, unless there is only the
/// calling thread. What it throws leaves the call or the executor; it is called once whatever it throws.
template <class Handler>
class call_completion {
public:
    call_completion(Handler&& handler, call_executor where) : handler_(std::move(handler)), where_(std::move(where)) {}

    /// The operation goes on elsewhere, where nothing else may keep the executor's context at work. Before it does.
    void expect() {
        if (!work_) work_.emplace(where_.executor);
    }

    /// The initiating call returns; the operation may have gone on elsewhere.
    void initiated() noexcept { initiated_ = true; }

    /// Once. The owner may be gone when it returns.
    void complete(http::message_generator message) {
        auto handler = std::move(handler_);
        auto const where = std::move(where_);
        auto const work = std::move(work_);
        if (where.calling_thread_only) {
            std::move(handler)(std::move(message));
        } else if (!initiated_) {
            boost::asio::post(where.executor, boost::asio::append(std::move(handler), std::move(message)));
        } else if constexpr (is_unbound<Handler>) {
            boost::asio::dispatch(where.executor, boost::asio::append(std::move(handler), std::move(message)));
        } else {  // to the same executor, which Asio would carry along otherwise
            boost::asio::dispatch(boost::asio::append(std::move(handler), std::move(message)));
        }
    }

    [[nodiscard]] Handler const& handler() const noexcept { return handler_; }
    [[nodiscard]] call_executor const& where() const noexcept { return where_; }

private:
    Handler handler_;
    call_executor where_;
    std::optional<boost::asio::executor_work_guard<boost::asio::any_io_executor>> work_;
    std::atomic<bool> initiated_{false};
};

/// What `make` makes, or, where it throws, what `fallback` does: the client must get an answer.
template <class Make, class Fallback>
http::message_generator message_or(Make make, Fallback fallback) {
    try {
        return make();
    } catch (...) {  // there is no room for it
    }
    return fallback();
}

}  // namespace idempo::detail
