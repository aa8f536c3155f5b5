// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/virtual_time.hpp"

#include <idempo/tracer.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace idempo::simulation {

/// The tracer of one process of a world. All use the world's time, so that no two calls are ordered wrongly. A world
/// comes after those with lower seeds.
[[nodiscard]] inline tracer trace_in_world(std::uint64_t seed, trace_sink const& sink) {
    auto const begins = std::chrono::hours{1} * seed;
    auto const now = [begins] {
        return std::chrono::duration_cast<std::chrono::microseconds>(world_now.time_since_epoch() + begins);
    };
    return tracer(sink, {.buffer_bytes = 0, .clock = now});
}

/// The name of the world's store.
[[nodiscard]] inline std::string store_name(std::uint64_t seed) { return "world-" + std::to_string(seed); }

}  // namespace idempo::simulation
