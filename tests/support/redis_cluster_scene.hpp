// SPDX-License-Identifier: MIT
#pragma once

#include "support/redis_cluster.hpp"
#include "support/store_scene.hpp"

#include <idempo/redis/operations/operations.hpp>
#include <idempo/redis/protocol/key_slot.hpp>

#include <idempo/redis/store.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace idempo::tests {

/// Options for a cluster of the test's own: its primaries are the seeds, and deadlines are short enough to wait for.
inline redis_options cluster_options(redis_cluster const& cluster) {
    redis_options options;
    for (std::size_t node = 0; node < std::min<std::size_t>(3, cluster.size()); ++node) {
        options.cluster_nodes.push_back({.host = "127.0.0.1", .port = cluster[node].port()});
    }
    options.operation_timeout = 500ms;
    return options;
}

inline std::uint16_t slot_of(store_key const& key) { return redis::key_slot(redis::redis_key("idempo:", key)); }

/// The `count`th store key whose slot is one of these.
inline store_key key_in(std::uint16_t first_slot, std::uint16_t last_slot, std::size_t count = 0) {
    for (std::size_t number = 0;; ++number) {
        auto const key = numbered_key(number * 0x9E3779B97F4A7C15);  // otherwise all would be in a few slots
        auto const slot = slot_of(key);
        if (slot >= first_slot && slot <= last_slot && count-- == 0) return key;
    }
}

}  // namespace idempo::tests
