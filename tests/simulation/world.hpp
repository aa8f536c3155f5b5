// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/chronicle.hpp"
#include "simulation/mutant.hpp"

#include <cstdint>
#include <optional>
#include <ostream>

namespace idempo::simulation {

struct outcome {
    std::optional<violation> found;
    counts counted;
};

/// Runs the world of a seed to its end. What happens depends on seed and mutant only.
/// \param history gets a line for each thing that happens; null: none
[[nodiscard]] outcome run_world(std::uint64_t seed, mutant bug = mutant::none, std::ostream* history = nullptr);

}  // namespace idempo::simulation
