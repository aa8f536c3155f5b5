// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/connection/libpq_wait.hpp>

#include <idempo/postgres/connection/libpq_socket.hpp>
#include <idempo/postgres/connection/statement_io.hpp>

#include <poll.h>

namespace idempo::postgres {

void throw_lost() { throw statement_failure({}, true); }

void lost_unless(bool is_sent) {
    if (!is_sent) throw_lost();
}

non_blocking::non_blocking(PGconn* on) : on_(on) {
    if (PQsetnonblocking(on_, 1) != 0) throw_lost();
}

non_blocking::~non_blocking() { PQsetnonblocking(on_, 0); }

void flush(PGconn* on, std::chrono::steady_clock::time_point deadline) {
    while (true) {
        auto const left = PQflush(on);
        if (left == 0) return;
        if (left < 0) throw_lost();
        await(on, POLLIN | POLLOUT, deadline);
        // The server may not read before we have read what it says.
        if (PQconsumeInput(on) == 0) throw_lost();
    }
}

std::unique_ptr<PGresult, clear_result> next_result(PGconn* on, std::chrono::steady_clock::time_point deadline) {
    while (PQisBusy(on) != 0) {
        await(on, POLLIN, deadline);
        if (PQconsumeInput(on) == 0) throw_lost();
    }
    return std::unique_ptr<PGresult, clear_result>(PQgetResult(on));
}

std::string sqlstate_of(PGresult const* failed) {
    auto const* const code = PQresultErrorField(failed, PG_DIAG_SQLSTATE);
    return code != nullptr ? code : "";
}

}  // namespace idempo::postgres
