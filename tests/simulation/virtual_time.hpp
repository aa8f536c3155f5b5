// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>

/// \file
/// Virtual time. In this executable `std::chrono::steady_clock::now()` is the clock of the process that runs at the
/// moment, or else the world's.

namespace idempo::simulation {

using time_point = std::chrono::steady_clock::time_point;
using duration = std::chrono::steady_clock::duration;

/// A clock that may run fast or slow, and jump.
class local_clock {
public:
    [[nodiscard]] time_point at(time_point world) const { return local_ + (world - world_) * per_mille_ / 1000; }

    /// When it will show this time, if it does not jump.
    [[nodiscard]] time_point world_time_of(time_point local) const {
        auto const ahead = (local - local_).count() * 1000;
        auto const per_mille = static_cast<duration::rep>(per_mille_);
        auto const rounded_up = ahead > 0 ? (ahead + per_mille - 1) / per_mille : ahead / per_mille;
        return world_ + duration(rounded_up);
    }

    void jump(time_point world, duration by) { set(world, at(world) + by, per_mille_); }
    void run_at(time_point world, std::int64_t per_mille) { set(world, at(world), per_mille); }

private:
    void set(time_point world, time_point local, std::int64_t per_mille) {
        world_ = world;
        local_ = local;
        per_mille_ = per_mille;
    }

    time_point world_{std::chrono::hours{1000}};
    time_point local_{std::chrono::hours{1000}};
    std::int64_t per_mille_ = 1000;
};

/// The world's time. Each thread may have a world.
inline thread_local time_point world_now{std::chrono::hours{1000}};
/// The clock of the process that runs; null between processes.
inline thread_local local_clock const* running_clock = nullptr;

}  // namespace idempo::simulation
