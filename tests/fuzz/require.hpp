// SPDX-License-Identifier: MIT
#pragma once

#include <cstdio>
#include <cstdlib>

namespace idempo::fuzz {

/// Ends the process if a property does not hold; libFuzzer then saves the input.
inline void require(bool holds, char const* property) {
    if (holds) return;
    std::fprintf(stderr, "does not hold: %s\n", property);
    std::abort();
}

}  // namespace idempo::fuzz
