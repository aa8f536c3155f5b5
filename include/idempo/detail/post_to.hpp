// SPDX-License-Identifier: MIT
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/append.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/require.hpp>

#include <utility>
#include <variant>

namespace idempo::detail {

/// As `post_to`, and keeps `work` on the handler's own executor until it has been dispatched there. Not until it has
/// been called: whoever runs its context may destroy that when it has no more work, while this thread still wakes its
/// thread.
template <class Work, class Handler, class... Results>
void post_at_work(boost::asio::any_io_executor const& executor, Work work, Handler handler, Results... results) {
    auto const posting = boost::asio::require(executor, boost::asio::execution::blocking.never);
    posting.execute([work = std::move(work), handler = std::move(handler), ... results = std::move(results)]() mutable {
        boost::asio::dispatch(boost::asio::append(std::move(handler), std::move(results)...));
        static_cast<void>(work);  // it is only kept
    });
}

/// Calls a type-erased handler with `results`, as if by post: on `executor`, from where it goes on to the handler's
/// own, to which nothing can be posted with Boost 1.81. `asio::post` takes three allocations instead of one, since it
/// also keeps the handler's own executor at work on the way; `pending_handler` does so from the start.
template <class Handler, class... Results>
void post_to(boost::asio::any_io_executor const& executor, Handler handler, Results... results) {
    constexpr std::monostate no_work;
    post_at_work(executor, no_work, std::move(handler), std::move(results)...);
}

}  // namespace idempo::detail
