// SPDX-License-Identifier: MIT
#pragma once

#include "support/redis_server.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace idempo::tests {

/// A primary, its replicas, and three sentinels that watch them: servers of the test's own. The sentinels check more
/// often than by default, so that a failover takes one or two seconds.
class sentinel_scene {
public:
    struct settings {
        std::size_t replicas = 2;
        /// The host by which servers and sentinels know each other.
        std::string host = "127.0.0.1";
        /// More words for the command lines; those of the sentinels are for TLS.
        std::vector<std::string> server_flags{};
        std::vector<std::string> sentinel_flags{};
    };

    static constexpr char const* primary_name = "charges";
    static constexpr std::size_t sentinel_count = 3;

    /// Waits until everything is healthy.
    explicit sentinel_scene(settings wanted);
    sentinel_scene() : sentinel_scene(settings()) {}

    /// The first one is the primary at the beginning.
    [[nodiscard]] redis_server& server(std::size_t number) { return servers_[number]; }
    [[nodiscard]] redis_server& sentinel(std::size_t number) { return sentinels_[number]; }

    void kill_sentinel(std::size_t number);
    void restart_sentinel(std::size_t number);
    void stop_sentinel(std::size_t number);
    void continue_sentinel(std::size_t number);

    /// The number of the primary according to the first running sentinel.
    [[nodiscard]] std::size_t primary() const { return primary_of(*present_.begin()); }

    /// Waits until the running sentinels name another primary than `old`, and that server confirms it; returns its
    /// number.
    std::size_t await_successor(std::size_t old) const;

    /// Waits until the sentinels agree with each other, and all replicas follow. \pre all are running
    void await_health() const;

    /// Waits until the replicas have everything that the primary has now.
    void await_replication() const;

    /// A failover by request, as for maintenance; returns the number of the new primary.
    std::size_t fail_over();

    /// `redis+sentinel://…`, or rediss, with the parameters, which begin with a '?'.
    [[nodiscard]] std::string url(std::string_view parameters = {}) const;

private:
    void hasten(redis_server const& sentinel) const;
    [[nodiscard]] std::size_t primary_of(std::size_t sentinel) const;
    [[nodiscard]] std::optional<std::size_t> successor_of(std::size_t old) const;
    [[nodiscard]] bool is_healthy() const;

    std::string host_;
    std::string scheme_;
    // Neither ever moves: its owner would not find it again.
    std::deque<redis_server> servers_;
    std::deque<redis_server> sentinels_;
    std::set<std::size_t> present_;  // the sentinels that are neither killed nor stopped
};

}  // namespace idempo::tests
