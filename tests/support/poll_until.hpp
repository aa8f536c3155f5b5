// SPDX-License-Identifier: MIT
#pragma once

#include "support/patience.hpp"

#include <chrono>
#include <stdexcept>
#include <thread>

namespace idempo::tests {

/// Repeats the question until the answer is yes. \throws std::runtime_error if it stays no.
template <class Condition>
void poll_until(Condition condition) {
    auto const deadline = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("what was waited for never happened");
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
}

}  // namespace idempo::tests
