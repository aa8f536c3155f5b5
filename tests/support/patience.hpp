#pragma once

#include <chrono>

namespace idempo::tests {

/// How long a test waits for what must come, on a busy machine and under a sanitizer: only one that fails waits as
/// long.
inline constexpr std::chrono::seconds patience{60};

}  // namespace idempo::tests
