// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/chronicle.hpp"
#include "simulation/mutant.hpp"
#include "simulation/scenario.hpp"

#include <idempo/tracer.hpp>

#include <cstdint>
#include <optional>
#include <ostream>

namespace idempo::simulation {

struct outcome {
    std::optional<violation> found;
    counts counted;
};

/// Runs the world of a seed to its end. What happens depends on seed, store and mutant only.
/// \param store what the world has; empty: what the mutant is in, or else the seed decides
/// \param history gets a line for each thing that happens; null: none
/// \param trace gets the traces of the processes, in the order of the world's time; empty: there are none. A world
/// whose
///   store loses records, or whose clock jumps, has no trace, since no other store may do so.
[[nodiscard]] outcome run_world(std::uint64_t seed, mutant bug = mutant::none, std::ostream* history = nullptr,
                                std::optional<store_kind> store = std::nullopt, trace_sink const& trace = {});

}  // namespace idempo::simulation
