// SPDX-License-Identifier: MIT
#pragma once

#include <cstdlib>
#include <stdexcept>
#include <string>

namespace idempo::tests {

/// How often a test kills its servers: `short_run` times, or IDEMPO_CYCLES, which scripts/campaign sets.
inline int campaign_cycles(int short_run) {
    auto const* const wanted = std::getenv("IDEMPO_CYCLES");
    if (wanted == nullptr) return short_run;
    int const cycles = std::stoi(wanted);
    if (cycles < 1) throw std::runtime_error("IDEMPO_CYCLES must be positive");
    return cycles;
}

/// Whether scripts/campaign runs the test.
inline bool is_campaign() { return std::getenv("IDEMPO_CYCLES") != nullptr; }

}  // namespace idempo::tests
