// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <chrono>
#include <memory>

namespace idempo::tests {

/// A clock that stands still until the test advances it. A handle, safe from any thread.
class manual_clock {
public:
    void advance(std::chrono::milliseconds span) { *milliseconds_ += span.count(); }

    [[nodiscard]] std::chrono::milliseconds since_start() const { return std::chrono::milliseconds(*milliseconds_); }

    /// In the form that the memory store takes.
    std::chrono::steady_clock::time_point operator()() const {
        return std::chrono::steady_clock::time_point(since_start());
    }

private:
    std::shared_ptr<std::atomic<std::chrono::milliseconds::rep>> milliseconds_ =
        std::make_shared<std::atomic<std::chrono::milliseconds::rep>>(0);
};

}  // namespace idempo::tests
