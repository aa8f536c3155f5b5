// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/surroundings.hpp"
#include "simulation/virtual_time.hpp"

#include <algorithm>
#include <cstddef>
#include <deque>
#include <string_view>

namespace idempo::simulation {

/// One direction of a connection: what is sent arrives in its order.
template <class Piece>
struct link_direction {
    std::deque<Piece> under_way;
    time_point last_arrival{};
    /// Nothing arrives any more.
    bool is_silent = false;
    /// Of the arrivals that are planned.
    unsigned epoch = 0;

    /// TCP loses nothing, but what it sends again and again comes late, or never.
    void stall(surroundings& world, std::size_t process, unsigned share, std::string_view what) {
        if (is_silent || !world.random.in_1000(share)) return;
        world.told.count(what);
        world.truth.disturb(process);
        is_silent = world.random.in_100(20);
        auto const span = world.random.between(milliseconds{30}, milliseconds{1500});
        last_arrival = std::max(last_arrival, world_now) + span;
    }

    /// The end that would get it is closed.
    void close() {
        under_way.clear();
        ++epoch;
        is_silent = true;
    }
};

}  // namespace idempo::simulation
