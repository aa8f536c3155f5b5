#pragma once

#include <cstddef>
#include <deque>
#include <mutex>
#include <string>

/// The effects of this process: the charges that were made, and would have cost somebody money. Thread-safe.
class ledger {
public:
    /// An execution has begun, that may come to a charge after a while.
    void start();

    /// Makes a charge, and returns its id, which no other charge has.
    std::string charge();

    struct summary {
        /// Executions that have begun: so many requests have met a handler, and no replay.
        std::size_t started = 0;
        std::size_t count = 0;
        /// The last few, the latest at the end.
        std::deque<std::string> last;
    };
    [[nodiscard]] summary summarise() const;

private:
    static constexpr std::size_t remembered = 10;

    mutable std::mutex mutex_;
    summary charges_;
};
