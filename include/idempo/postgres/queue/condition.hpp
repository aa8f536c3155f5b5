// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace idempo::postgres {

/// What the store's threads wait for: a `std::condition_variable`. All waiting is in `condition.ipp`, so that the
/// simulation can have another one, under virtual time.
class condition {
public:
    using time_point = std::chrono::steady_clock::time_point;

    void notify_one() noexcept;
    void notify_all() noexcept;

    /// Each may return early.
    void wait(std::unique_lock<std::mutex>& lock);
    void wait_until(std::unique_lock<std::mutex>& lock, time_point end);

    template <class Predicate>
    void wait(std::unique_lock<std::mutex>& lock, Predicate has_come) {
        while (!has_come()) wait(lock);
    }

    /// What the predicate says at the end.
    template <class Predicate>
    [[nodiscard]] bool wait_for(std::unique_lock<std::mutex>& lock, std::chrono::milliseconds length,
                                Predicate has_come) {
        auto const end = std::chrono::steady_clock::now() + length;
        while (!has_come()) {
            if (std::chrono::steady_clock::now() >= end) return false;
            wait_until(lock, end);
        }
        return true;
    }

private:
    std::condition_variable threads_;
};

}  // namespace idempo::postgres
