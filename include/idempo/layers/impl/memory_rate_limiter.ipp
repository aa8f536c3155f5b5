// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/layers/memory_rate_limiter.hpp>

#include <idempo/detail/deadline.hpp>
#include <idempo/option_checks.hpp>

#include <list>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace idempo {

/// All windows are equally long, so they end in the order in which they begin.
class memory_rate_limiter::windows {
    using clock = std::chrono::steady_clock;

public:
    windows(idempo::rate rate, memory_rate_limiter_options options) : rate_(rate), options_(std::move(options)) {
        validate(rate_);
        detail::require(options_.max_clients > 0, "memory_rate_limiter_options.max_clients must be at least 1");
    }

    [[nodiscard]] idempo::rate const& rate() const noexcept { return rate_; }

    rate_decision take(store_key const& client) {
        std::lock_guard const lock(mutex_);
        // With the lock held; otherwise the windows would not be in the order of their ends.
        auto const now = options_.clock ? options_.clock() : clock::now();
        drop_ended(now);
        auto& found = open_window(client, now);
        bool const allowed = found.taken < rate_.limit;
        if (allowed) ++found.taken;
        return {allowed, rate_.limit - found.taken, detail::remaining(found.end, now)};
    }

    [[nodiscard]] std::size_t size() const {
        std::lock_guard const lock(mutex_);
        return by_end_.size();
    }

private:
    struct window {
        store_key client;
        clock::time_point end;
        unsigned taken = 0;
    };

    void drop_ended(clock::time_point now) {
        while (!by_end_.empty() && by_end_.front().end <= now) drop_first();
    }

    void drop_first() {
        by_client_.erase(by_end_.front().client);
        by_end_.pop_front();
    }

    window& open_window(store_key const& client, clock::time_point now) {
        auto const found = by_client_.find(client);
        if (found != by_client_.end()) return *found->second;
        if (by_end_.size() == options_.max_clients) drop_first();
        auto const place = by_client_.emplace(client, by_end_.end()).first;
        try {
            place->second = by_end_.insert(by_end_.end(), window{client, detail::later(now, rate_.window), 0});
        } catch (...) {
            by_client_.erase(place);
            throw;
        }
        return *place->second;
    }

    idempo::rate const rate_;
    memory_rate_limiter_options const options_;
    mutable std::mutex mutex_;
    std::list<window> by_end_;
    std::unordered_map<store_key, std::list<window>::iterator, identifier_hash> by_client_;
};

memory_rate_limiter::memory_rate_limiter(rate rate, memory_rate_limiter_options options)
    : windows_(std::make_shared<windows>(rate, std::move(options))) {}

rate_decision memory_rate_limiter::take(store_key const& client, error_code& error) {
    error.clear();
    return windows_->take(client);
}

rate memory_rate_limiter::get_rate() const noexcept { return windows_->rate(); }

std::size_t memory_rate_limiter::size() const { return windows_->size(); }

}  // namespace idempo
