#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>

#include <type_traits>

namespace idempo::detail {

/// Where a call with a completion token works and completes. If neither the token nor the store has an executor, the
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

}  // namespace idempo::detail
