#pragma once

#include <libpq-fe.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

namespace idempo::postgres {

struct close_libpq {
    void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
};
using libpq_connection = std::unique_ptr<PGconn, close_libpq>;

/// A connection that has been made, or null. Takes no longer than `timeout`, except for resolving a host name, and
/// returns soon after `stop` has become true. libpq's own connect_timeout counts in seconds, from two upwards.
[[nodiscard]] libpq_connection connect(std::string const& connection_string, std::chrono::milliseconds timeout,
                                       std::atomic<bool> const& stop);

}  // namespace idempo::postgres
