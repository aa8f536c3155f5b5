// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/call_executor.hpp>
#include <idempo/identifiers.hpp>
#include <idempo/observer.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/append.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/http/message_generator.hpp>

#include <atomic>
#include <exception>
#include <utility>

namespace idempo::detail {

namespace http = boost::beast::http;

/// The completion handler of one call, on its executor: never from within the initiating call, unless there is only the
/// calling thread. What it throws leaves the call or the executor; it is called once whatever it throws.
template <class Handler>
class call_completion {
public:
    call_completion(Handler&& handler, call_executor where)
        : handler_(std::move(handler)),
          where_(std::move(where)),
          work_(boost::asio::make_work_guard(where_.executor)) {}

    /// The initiating call returns; the operation may have gone on elsewhere.
    void initiated() noexcept { initiated_ = true; }

    /// Once. The owner may be gone when it returns.
    void complete(http::message_generator message) {
        auto handler = std::move(handler_);
        auto const where = std::move(where_);
        auto const work = std::move(work_);
        if (where.calling_thread_only) {
            std::move(handler)(std::move(message));
        } else if (initiated_) {
            boost::asio::dispatch(where.executor, boost::asio::append(std::move(handler), std::move(message)));
        } else {
            boost::asio::post(where.executor, boost::asio::append(std::move(handler), std::move(message)));
        }
    }

    [[nodiscard]] Handler const& handler() const noexcept { return handler_; }
    [[nodiscard]] call_executor const& where() const noexcept { return where_; }

private:
    Handler handler_;
    call_executor where_;
    boost::asio::executor_work_guard<boost::asio::any_io_executor> work_;
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

/// \param key of the request that the handler had; all zeros where there is none
inline void tell_exception(observer const& observer, std::exception_ptr exception, store_key const& key = {}) {
    event event;
    event.key = key;
    event.type = event_type::handler_threw;
    event.step = event_step::handler;
    event.exception = std::move(exception);
    notify(observer, event);
}

}  // namespace idempo::detail
