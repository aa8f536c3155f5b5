#pragma once

#include <idempo/postgres/connection/libpq_connect.hpp>

#include <poll.h>

#include <algorithm>

namespace idempo::postgres {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// Waits until libpq can go on. False at the deadline, or when `stop` has become true.
bool wait_for(int socket, short events, steady_clock::time_point deadline, std::atomic<bool> const& stop) {
    constexpr milliseconds glance{20};
    while (!stop) {
        auto const left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
        if (left <= milliseconds::zero()) return false;
        pollfd waiting{socket, events, 0};
        if (::poll(&waiting, 1, static_cast<int>(std::min(left, glance).count())) > 0) return true;
    }
    return false;
}

}  // namespace

libpq_connection connect(std::string const& connection_string, milliseconds timeout, std::atomic<bool> const& stop) {
    auto const deadline = steady_clock::now() + timeout;
    libpq_connection connection(PQconnectStart(connection_string.c_str()));
    if (connection == nullptr || PQstatus(connection.get()) == CONNECTION_BAD) return nullptr;
    // libpq writes what the server has to say to stderr, which is not ours.
    PQsetNoticeProcessor(
        connection.get(), [](void*, char const*) {}, nullptr);
    for (auto next = PGRES_POLLING_WRITING; next != PGRES_POLLING_OK; next = PQconnectPoll(connection.get())) {
        if (next == PGRES_POLLING_FAILED) return nullptr;
        short const events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        if (!wait_for(PQsocket(connection.get()), events, deadline, stop)) return nullptr;
    }
    return connection;
}

}  // namespace idempo::postgres
