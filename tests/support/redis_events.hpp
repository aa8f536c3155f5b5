// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/options.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

namespace idempo::tests {

/// The events of a Redis store's observer. A handle.
class redis_events {
public:
    [[nodiscard]] auto observer() const {
        return [shared = shared_](redis_event const& event) {
            std::lock_guard const lock(shared->mutex);
            ++shared->problems[event.problem];
            if (event.problem == redis_problem::none) shared->ready_port = event.endpoint.port;
        };
    }

    [[nodiscard]] std::size_t count(redis_problem problem) const {
        std::lock_guard const lock(shared_->mutex);
        return shared_->problems[problem];
    }

    /// Of the server to which the latest connection leads; 0 before the first.
    [[nodiscard]] std::uint16_t ready_port() const {
        std::lock_guard const lock(shared_->mutex);
        return shared_->ready_port;
    }

private:
    struct shared {
        std::mutex mutex;
        std::map<redis_problem, std::size_t> problems;
        std::uint16_t ready_port = 0;
    };
    std::shared_ptr<shared> shared_ = std::make_shared<shared>();
};

}  // namespace idempo::tests
