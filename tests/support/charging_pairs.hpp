// SPDX-License-Identifier: MIT
#pragma once

#include "support/charge_receipt.hpp"
#include "support/http_client.hpp"
#include "support/retry_limit.hpp"

#include <atomic>
#include <barrier>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace idempo::tests {

/// Pairs of clients, one at each of two servers: both send the same charge at the same time until they get a response,
/// and then the next charge.
class charging_pairs {
public:
    charging_pairs(std::uint16_t one, std::uint16_t other, std::size_t count) {
        for (std::size_t number = 0; number < count; ++number) {
            auto* const both = pairs_.emplace_back(std::make_unique<pair>(limit_)).get();
            for (auto const port : {one, other}) {
                threads_.emplace_back([this, port, number, both] { run(port, number, *both); });
            }
        }
    }
    charging_pairs(charging_pairs const&) = delete;
    charging_pairs& operator=(charging_pairs const&) = delete;
    ~charging_pairs() {
        limit_.give_up();
        join();
    }

    /// Lets each finish its present charge. \throws std::runtime_error if one cannot
    void stop() {
        limit_.stop();
        join();
        if (has_given_up_) throw std::runtime_error("a charge was never answered");
    }

    [[nodiscard]] std::vector<charge_receipt> receipts() const {
        std::lock_guard const lock(mutex_);
        return receipts_;
    }

    /// Responses other than 201, and connections that ended.
    [[nodiscard]] std::size_t setbacks() const noexcept { return setbacks_; }

private:
    struct pair {
        explicit pair(retry_limit const& limit)
            : next(2, [this, &limit]() noexcept { goes_on = !limit.is_stopping(); }) {}
        bool goes_on = true;
        std::barrier<std::function<void()>> next;
    };

    void join() {
        for (auto& thread : threads_) thread.join();
        threads_.clear();
    }

    void run(std::uint16_t port, std::size_t number, pair& with_other) {
        std::optional<http_client> connection;
        for (std::size_t round = 1;; ++round) {
            with_other.next.arrive_and_wait();
            if (!with_other.goes_on) return;
            charge_order const order{std::to_string(number) + '-' + std::to_string(round), number + round * 1000};
            std::optional<charge_receipt> receipt;
            while (!(receipt = try_charge(connection, port, order))) {
                ++setbacks_;
                if (limit_.is_over()) {
                    has_given_up_ = true;
                    with_other.next.arrive_and_drop();
                    return;
                }
                std::this_thread::sleep_for(std::chrono::milliseconds(20));
            }
            std::lock_guard const lock(mutex_);
            receipts_.push_back(*receipt);
        }
    }

    retry_limit limit_;
    std::atomic<bool> has_given_up_{false};
    std::atomic<std::size_t> setbacks_{0};
    std::vector<std::unique_ptr<pair>> pairs_;
    std::vector<std::thread> threads_;
    mutable std::mutex mutex_;
    std::vector<charge_receipt> receipts_;
};

}  // namespace idempo::tests
