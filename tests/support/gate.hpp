// SPDX-License-Identifier: MIT
#pragma once

#include "support/patience.hpp"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <stdexcept>

namespace idempo::tests {

/// Opens only when the test says so. A handle, safe from any thread.
class gate {
public:
    /// Blocks until the gate is open.
    void pass() const {
        std::unique_lock lock(shared_->mutex);
        ++shared_->arrived;
        shared_->changed.notify_all();
        await(lock, [&] { return shared_->open; });
    }

    /// Blocks until so many wait at the gate.
    void wait_for_arrivals(int count = 1) const {
        std::unique_lock lock(shared_->mutex);
        await(lock, [&] { return shared_->arrived >= count; });
    }

    void open() const {
        std::lock_guard const lock(shared_->mutex);
        shared_->open = true;
        shared_->changed.notify_all();
    }

private:
    struct shared {
        std::mutex mutex;
        std::condition_variable changed;
        int arrived = 0;
        bool open = false;
    };

    template <class Condition>
    void await(std::unique_lock<std::mutex>& lock, Condition condition) const {
        if (!shared_->changed.wait_for(lock, patience, condition)) throw std::runtime_error("a gate stayed shut");
    }

    std::shared_ptr<shared> shared_ = std::make_shared<shared>();
};

}  // namespace idempo::tests
