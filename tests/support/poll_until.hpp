#pragma once

#include <chrono>
#include <stdexcept>
#include <thread>

namespace idempo::tests {

/// Long enough for a busy machine and a sanitizer; only a test that fails waits for it.
inline constexpr std::chrono::seconds patience{60};

/// Asks again and again until the answer is yes. \throws std::runtime_error where it stays no.
template <class Condition>
void poll_until(Condition condition) {
    auto const deadline = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("what was waited for never happened");
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
}

}  // namespace idempo::tests
