// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/queue/operation.hpp>

#include <idempo/detail/pending_handler.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/executor_work_guard.hpp>

#include <type_traits>
#include <utility>

namespace idempo::postgres {

namespace asio = boost::asio;

/// The call's other half: the handler that is told of the result. Keeps the executors at work until then.
/// `Result` is `std::monostate` where the handler takes an error code alone.
template <class Result>
class called_operation final : public operation {
    static constexpr bool has_result = !std::is_same_v<Result, std::monostate>;
    using pending_handler =
        idempo::detail::pending_handler<std::conditional_t<has_result, void(error_code, Result), void(error_code)>>;

public:
    using handler = pending_handler::handler;

    called_operation(postgres::request asked, asio::any_io_executor const& executor, handler done)
        : operation(std::move(asked)),
          work_(executor),
          done_(std::move(done), executor) {}

    void deliver(outcome result) override {
        if constexpr (has_result) {
            auto* const found = std::get_if<Result>(&result.answer);
            done_.post(work_.get_executor(), result.error, found != nullptr ? std::move(*found) : Result{});
        } else {
            done_.post(work_.get_executor(), result.error);
        }
    }

private:
    asio::executor_work_guard<asio::any_io_executor> work_;
    pending_handler done_;
};

}  // namespace idempo::postgres
