// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/connection/libpq_connect.hpp>

#include <chrono>
#include <vector>

namespace idempo::postgres {

/// Takes those away that are known to have ended, or to be idle. A server process that waits for a standby does not
/// notice that its client has gone; who takes a new connection after each timeout leaves one behind each time, until
/// the server has no slot left.
/// \param on a connection of the same role. Processes of other servers are dropped from the list: this one has taken
/// over.
/// \throws statement_failure
void forget_ended(std::vector<server_process>& late, PGconn* on, std::chrono::steady_clock::time_point deadline);

}  // namespace idempo::postgres
