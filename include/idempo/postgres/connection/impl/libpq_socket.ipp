// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/connection/libpq_socket.hpp>

#include <idempo/postgres/connection/libpq_wait.hpp>
#include <idempo/postgres/connection/statement_io.hpp>

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace idempo::postgres {

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

bool has_been_closed(PGconn* idle) noexcept {
    char byte = 0;
    auto const read = ::recv(PQsocket(idle), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (read == 0) return true;
    return read < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR;
}

}  // namespace idempo::postgres
