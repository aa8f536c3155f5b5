// SPDX-License-Identifier: MIT
#pragma once

#include "support/redis_server.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace idempo::tests {

struct redis_cluster_setup {
    std::size_t primaries = 3;
    std::size_t replicas_each = 1;
    /// The others fail a node that is silent for so long. Short only if a test waits for that: a busy machine must not
    /// fail over by itself.
    std::chrono::milliseconds node_timeout{5000};
    /// For the command line of each node.
    std::vector<std::string> flags{};
};

/// A Redis Cluster of the test's own: processes on free ports, which end with this object.
///
/// The nodes have numbers: first the primaries, which share all slots, then their replicas in the same order.
class redis_cluster {
public:
    /// Waits until each node reports a healthy cluster, and the replicas have caught up.
    explicit redis_cluster(redis_cluster_setup const& setup = {});

    [[nodiscard]] redis_server& operator[](std::size_t node) { return *nodes_[node]; }
    [[nodiscard]] redis_server const& operator[](std::size_t node) const { return *nodes_[node]; }
    [[nodiscard]] std::size_t size() const noexcept { return nodes_.size(); }

    /// With the first three nodes as seeds.
    [[nodiscard]] std::string url() const;

    /// The node that serves the slot, as `asked` sees it.
    [[nodiscard]] std::size_t primary_of(std::uint16_t slot, std::size_t asked = 0) const;

    [[nodiscard]] std::string id(std::size_t node) const;

    /// Whether each of these nodes says that the cluster is healthy.
    [[nodiscard]] bool is_healthy(std::vector<std::size_t> const& nodes) const;
    void wait_until_healthy() const;

    /// From now on keys of the slot may be moved; the node answers ASK for those that are gone.
    void begin_move(std::uint16_t slot, std::size_t from, std::size_t to) const;
    /// Moves some of the present keys. Returns their number.
    std::size_t move_keys(std::uint16_t slot, std::size_t from, std::size_t to) const;
    /// The slot belongs to `to` from now on, and `from` answers with MOVED.
    void end_move(std::uint16_t slot, std::size_t from, std::size_t to) const;
    /// All three steps, as an operator takes them.
    void move(std::uint16_t slot, std::size_t from, std::size_t to) const;

    /// A primary without slots that all others know. Returns its number.
    std::size_t add_node();

    /// All other nodes forget it, and for a minute they do not take its name from each other.
    void forget(std::size_t node);
    /// All other nodes meet it again, when that minute is over where `tells_of_forgotten`.
    void meet(std::size_t node) const;
    /// From Redis 7.2 on, each node tells the others which nodes it has forgotten within the last minute, and they
    /// forget these as well, even if they have just been told to meet them.
    [[nodiscard]] bool tells_of_forgotten() const;

private:
    void start_node();
    void introduce(std::size_t node, std::size_t to) const;
    void wait_until_all_know_each_other() const;
    void wait_until_it_may_be_met() const;

    redis_cluster_setup setup_;
    std::vector<std::unique_ptr<redis_server>> nodes_;
    std::vector<std::string> bus_ports_;
    std::chrono::steady_clock::time_point forgot_at_;
};

}  // namespace idempo::tests
