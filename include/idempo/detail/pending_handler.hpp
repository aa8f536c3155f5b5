// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/post_to.hpp>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/executor_work_guard.hpp>

#include <utility>

namespace idempo::detail {

/// The handler of an operation that goes on elsewhere. Keeps the handler's own executor at work until it is called: its
/// context may have nothing else to do, and would end.
template <class Signature>
class pending_handler {
public:
    using handler = boost::asio::any_completion_handler<Signature>;

    /// \param executor calls a handler that has none
    pending_handler(handler done, boost::asio::any_io_executor const& executor)
        : work_(boost::asio::get_associated_executor(done, executor)),
          done_(std::move(done)) {}

    [[nodiscard]] bool is_called() const noexcept { return !done_; }

    /// Calls it, once, as if by post.
    /// \param executor the one of the constructor
    template <class... Results>
    void post(boost::asio::any_io_executor const& executor, Results... results) {
        post_at_work(executor, std::move(work_), std::move(done_), std::move(results)...);
    }

private:
    boost::asio::executor_work_guard<boost::asio::associated_executor_t<handler, boost::asio::any_io_executor>> work_;
    handler done_;
};

}  // namespace idempo::detail
