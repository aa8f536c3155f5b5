// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/connection/libpq_wait.hpp>

#include <idempo/postgres/connection/statement_io.hpp>

#include <poll.h>

#include <algorithm>
#include <cerrno>

namespace idempo::postgres {

namespace {

/// Returns when the socket is ready for one of the events. \throws statement_failure at the deadline
void await(PGconn* on, short events, std::chrono::steady_clock::time_point deadline) {
    while (true) {
        auto const left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        constexpr bool is_late = true;
        if (left.count() <= 0) throw statement_failure({}, true, is_late);
        pollfd waiting{PQsocket(on), events, 0};
        if (waiting.fd < 0) throw_lost();
        constexpr std::chrono::milliseconds longest{60'000};
        auto const ready = ::poll(&waiting, 1, static_cast<int>(std::min(left, longest).count()));
        if (ready > 0) return;
        if (ready < 0 && errno != EINTR) throw_lost();
    }
}

}  // namespace

void throw_lost() { throw statement_failure({}, true); }

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
