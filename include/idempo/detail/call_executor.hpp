#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>

#include <type_traits>

namespace idempo::detail {

/// Where a call with a completion token works and completes. Without an executor of the token or of the store, only the
/// calling thread is left, and everything has happened when the call returns.
struct call_executor {
    boost::asio::any_io_executor executor;
    bool calling_thread_only = false;
};

struct without_executor {};

/// Whether nobody bound an executor to the completion. Asio's default (`system_executor`, a hidden pool of threads, or
/// since Asio 1.37 `inline_executor`) is not one that a session expects to continue on.
template <class Completion>
inline constexpr bool is_unbound = std::is_same_v<boost::asio::associated_executor_t<Completion>,
                                                  boost::asio::associated_executor_t<without_executor>>;

}  // namespace idempo::detail
