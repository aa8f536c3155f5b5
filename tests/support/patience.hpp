// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>

namespace idempo::tests {

/// How long a test waits for an event that must come, on a busy machine and under a sanitizer. Only a failing test
/// waits this long.
inline constexpr std::chrono::seconds patience{60};

}  // namespace idempo::tests
