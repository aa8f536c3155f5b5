// SPDX-License-Identifier: MIT
#pragma once

#include "support/patience.hpp"

#include <atomic>
#include <chrono>

namespace idempo::tests {

/// Until when clients that never give up try again: a test whose servers do not come back must fail, not wait for ever.
/// Any thread may call the members.
class retry_limit {
public:
    /// What has been begun may still be finished, within the time that a test waits for what must come.
    void stop() {
        auto const now = std::chrono::steady_clock::now().time_since_epoch();
        ends_ = (now + patience) / std::chrono::milliseconds(1);
        is_stopping_ = true;
    }

    /// What has been begun is given up.
    void give_up() {
        ends_ = 0;
        is_stopping_ = true;
    }

    [[nodiscard]] bool is_stopping() const noexcept { return is_stopping_; }

    [[nodiscard]] bool is_over() const {
        auto const now = std::chrono::steady_clock::now().time_since_epoch() / std::chrono::milliseconds(1);
        return is_stopping_ && now >= ends_;
    }

private:
    std::atomic<bool> is_stopping_{false};
    std::atomic<std::chrono::milliseconds::rep> ends_{0};
};

}  // namespace idempo::tests
