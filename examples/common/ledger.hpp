// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <deque>
#include <mutex>
#include <string>

/// The effects of this process: its charges, which would have cost somebody money. Thread-safe.
class ledger {
public:
    /// Counts an execution that has begun and may make a charge later.
    void start();

    /// Makes a charge, and returns its id, which no other charge has.
    std::string charge();

    struct summary {
        /// Executions that have begun: requests that reached a handler instead of a replay.
        std::size_t started = 0;
        std::size_t count = 0;
        /// The last few, newest last.
        std::deque<std::string> last;
    };
    [[nodiscard]] summary summarise() const;

private:
    static constexpr std::size_t remembered = 10;

    mutable std::mutex mutex_;
    summary charges_;
};
