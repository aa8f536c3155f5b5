// SPDX-License-Identifier: MIT
#pragma once

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>

#include <memory>

namespace idempo::tests {

/// Whether an operation calls its handler on a context that has nothing else to do.
/// \param start starts the operation with the handler that it is given
template <class Start>
[[nodiscard]] bool is_called_on_idle_context(Start start) {
    auto const context = std::make_shared<boost::asio::io_context>();
    bool is_called = false;
    // The handler keeps the context, for an operation that is not done when run() returns too early.
    start(boost::asio::bind_executor(*context, [context, &is_called](auto&&...) { is_called = true; }));
    context->run();
    return is_called;
}

}  // namespace idempo::tests
