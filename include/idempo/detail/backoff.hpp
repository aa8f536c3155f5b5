// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <random>

namespace idempo::detail {

/// The pause before the next attempt to connect: decorrelated jitter, so that the clients of a recovered server do not
/// reconnect together.
/// https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
class backoff {
public:
    using milliseconds = std::chrono::milliseconds;

    static constexpr milliseconds shortest{20};
    static constexpr milliseconds longest{1000};

    explicit backoff(std::random_device::result_type seed) : random_(seed) {}

    /// Between `shortest` and three times the last pause, and never more than `longest`.
    [[nodiscard]] milliseconds next() {
        std::uniform_int_distribution<milliseconds::rep> pauses(shortest.count(), 3 * last_.count());
        last_ = std::min(longest, milliseconds(pauses(random_)));
        return last_;
    }

    void reset() { last_ = shortest; }

private:
    std::minstd_rand random_;
    milliseconds last_ = shortest;
};

}  // namespace idempo::detail
