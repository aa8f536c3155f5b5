// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/queue/operation.hpp>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/append.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include <type_traits>
#include <utility>

namespace idempo::postgres {

namespace asio = boost::asio;

/// The call's other half: the handler that is told of the result. Keeps the executors at work until then.
/// `Result` is `std::monostate` where the handler takes an error code alone.
template <class Result>
class called_operation final : public operation {
    static constexpr bool has_result = !std::is_same_v<Result, std::monostate>;

public:
    using handler =
        asio::any_completion_handler<std::conditional_t<has_result, void(error_code, Result), void(error_code)>>;

    called_operation(postgres::request asked, asio::any_io_executor const& executor, handler done)
        : operation(std::move(asked)),
          work_(executor),
          handler_work_(asio::get_associated_executor(done, executor)),
          done_(std::move(done)) {}

    // On our executor, from where Asio goes on to the handler's own: with Boost 1.81 an any_completion_executor
    // cannot be posted to.
    void deliver(outcome result) override {
        if constexpr (has_result) {
            auto* const found = std::get_if<Result>(&result.answer);
            asio::post(work_.get_executor(),
                       asio::append(std::move(done_), result.error, found != nullptr ? std::move(*found) : Result{}));
        } else {
            asio::post(work_.get_executor(), asio::append(std::move(done_), result.error));
        }
    }

private:
    asio::executor_work_guard<asio::any_io_executor> work_;
    asio::executor_work_guard<asio::associated_executor_t<handler, asio::any_io_executor>> handler_work_;
    handler done_;
};

}  // namespace idempo::postgres
