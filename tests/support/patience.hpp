// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>

namespace idempo::tests {

/// How long a test waits for an event that must come, on a busy machine and under a sanitizer. Only a failing test
/// waits this long.
inline constexpr std::chrono::seconds patience{60};

/// A store's options where a slow machine must not look like a server that is away. Connecting takes time, too.
template <class Options>
[[nodiscard]] Options with_patience(Options options) {
    options.connect_timeout = std::chrono::seconds(10);
    options.operation_timeout = std::chrono::seconds(10);
    return options;
}

}  // namespace idempo::tests
