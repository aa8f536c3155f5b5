// SPDX-License-Identifier: MIT
#pragma once

#include <libpq-fe.h>

#include <chrono>

/// \file
/// What the store does with the socket of a connection itself. The simulation has definitions of its own, without
/// sockets.

namespace idempo::postgres {

/// Returns when the socket is ready for one of the events, as `poll` knows them. \throws statement_failure at the
/// deadline, and where there is no socket
void await(PGconn* on, short events, std::chrono::steady_clock::time_point deadline);

/// Whether an idle connection has been closed by its server. Reads nothing, waits for nothing.
[[nodiscard]] bool has_been_closed(PGconn* idle) noexcept;

}  // namespace idempo::postgres
