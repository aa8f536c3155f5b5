// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/connection/result.hpp>

#include <libpq-fe.h>

#include <chrono>
#include <memory>
#include <string>

/// \file
/// Waiting for a server without blocking in libpq. Each throws `statement_failure` where the connection is lost, and at
/// the deadline.

namespace idempo::postgres {

[[noreturn]] void throw_lost();

/// libpq refuses to send over a connection that is lost.
void lost_unless(bool is_sent);

/// libpq does not block while one of these lives. libpqxx expects it to block.
class non_blocking {
public:
    explicit non_blocking(PGconn* on);
    non_blocking(non_blocking const&) = delete;
    non_blocking& operator=(non_blocking const&) = delete;
    ~non_blocking();

private:
    PGconn* on_;
};

/// Sends all that libpq has been given.
void flush(PGconn* on, std::chrono::steady_clock::time_point deadline);

/// As `PQgetResult`.
[[nodiscard]] std::unique_ptr<PGresult, clear_result> next_result(PGconn* on,
                                                                  std::chrono::steady_clock::time_point deadline);

/// As PostgreSQL names the error; empty where it did not.
[[nodiscard]] std::string sqlstate_of(PGresult const* failed);

}  // namespace idempo::postgres
