// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/connection/connection.hpp>

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>

namespace idempo::postgres {

/// Ends what blocks for too long: shuts down the sockets whose time is over, from a thread of its own.
class socket_watch {
public:
    class limit;

    /// Returns after `stop`.
    void run();

    /// All sockets that are watched, now or later, are shut down.
    void stop();

private:
    using deadlines = std::multimap<std::chrono::steady_clock::time_point, limit*>;

    std::mutex mutex_;
    std::condition_variable changed_;
    deadlines deadlines_;
    bool is_stopped_ = false;
};

/// As long as it lives, the socket has this time.
class socket_watch::limit {
public:
    limit(socket_watch& watch, socket_guard& guard, std::chrono::milliseconds timeout);
    limit(limit const&) = delete;
    limit& operator=(limit const&) = delete;
    ~limit();

private:
    friend socket_watch;

    socket_watch& watch_;
    socket_guard& guard_;
    deadlines::iterator at_;
};

}  // namespace idempo::postgres
