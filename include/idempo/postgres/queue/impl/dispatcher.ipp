// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/queue/dispatcher.hpp>

#include <boost/asio/post.hpp>

#include <algorithm>
#include <iterator>

namespace idempo::postgres {

dispatcher::dispatcher(asio::any_io_executor executor, limits within)
    : executor_(std::move(executor)),
      limits_(within),
      workers_(within.workers) {}

void dispatcher::submit(operation_ptr submitted) {
    std::unique_lock lock(mutex_);
    if (stopped_) return;
    if (!is_reachable_ || pending_ >= limits_.max_pending ||
        submitted->bytes() > limits_.max_pending_bytes - std::min(limits_.max_pending_bytes, pending_bytes_)) {
        lock.unlock();
        settled refused;
        settle(submitted, {error::store_unavailable, {}}, refused);
        return deliver(std::move(refused));
    }
    ++pending_;
    pending_bytes_ += submitted->bytes();
    submitted->deadline = std::chrono::steady_clock::now() + limits_.operation_timeout;
    deadlines_.push_back(*submitted);
    corked_.push_back(std::move(submitted));
    if (is_watch_asleep_) watch_wakes_.notify_one();
    if (corked_.size() > 1) return;
    lock.unlock();
    asio::post(executor_, [self = shared_from_this()] { self->release_corked(); });
}

void dispatcher::release_corked() {
    std::lock_guard const lock(mutex_);
    for (auto& each : corked_) queue_.push(std::move(each));
    corked_.clear();
    wake_worker();
}

// One takes all that fits into a batch, and wakes the next for the rest.
void dispatcher::wake_worker() {
    if (queue_.is_ready()) workers_wake_.notify_one();
}

void dispatcher::finish() {
    std::lock_guard const lock(mutex_);
    is_finishing_ = true;
    wake_all_at_end();
}

void dispatcher::stop() {
    // What a handler owns may come back here when it is destroyed, so that must be without the lock.
    std::vector<operation_ptr> dropped;
    std::lock_guard const lock(mutex_);
    stopped_ = true;
    deadlines_.clear();
    dropped = queue_.clear();
    std::ranges::move(corked_, std::back_inserter(dropped));
    corked_.clear();
    for (auto& each : workers_) each.guard.shut_down();
    wake_all_at_end();
}

void dispatcher::wake_all_at_end() {
    if (!has_ended()) return;
    workers_wake_.notify_all();
    watch_wakes_.notify_all();
    pauses_end_.notify_all();
}

batch dispatcher::take() {
    std::unique_lock lock(mutex_);
    while (true) {
        workers_wake_.wait(lock, [&] { return has_ended() || queue_.is_ready(); });
        if (has_ended()) return {};
        auto taken = queue_.take();
        std::erase_if(taken, [&](operation_ptr const& each) {
            if (is_wanted(*each)) return false;
            queue_.finish(*each);
            forget(*each);
            return true;
        });
        wake_worker();
        if (!taken.empty()) return taken;
        wake_all_at_end();
    }
}

void dispatcher::settle(batch const& taken, std::vector<outcome> outcomes) {
    settled told;
    {
        std::lock_guard const lock(mutex_);
        if (stopped_) return;
        for (std::size_t place = 0; place < taken.size(); ++place) {
            auto const& each = taken[place];
            settle(each, std::move(outcomes[place]), told);
            queue_.finish(*each);
            forget(*each);
        }
        wake_worker();
        wake_all_at_end();
    }
    deliver(std::move(told));
}

void dispatcher::forget(operation const& pending) {
    --pending_;
    pending_bytes_ -= pending.bytes();
}

void dispatcher::has_moved() {
    std::lock_guard const lock(mutex_);
    last_moved_ = std::chrono::steady_clock::now();
}

/// Later than its own where large records are on the move, and the server is not to blame.
time_point dispatcher::deadline_of(operation const& waiting) const {
    constexpr int longest = 9;
    auto const& timeout = limits_.operation_timeout;
    return std::max(waiting.deadline, std::min(last_moved_ + timeout, waiting.deadline + longest * timeout));
}

void dispatcher::settle(operation_ptr const& one, outcome with, settled& to) {
    if (one->is_settled) return;
    one->is_settled = true;
    one->unlink();
    to.emplace_back(one, std::move(with));
}

void dispatcher::deliver(settled all) {
    if (all.empty()) return;
    asio::post(executor_, [all = std::move(all)]() mutable {
        for (auto& [each, result] : all) each->deliver(std::move(result));
    });
}

void dispatcher::is_connected(std::size_t worker) {
    std::lock_guard const lock(mutex_);
    workers_[worker].is_connected = true;
    is_reachable_ = true;
}

void dispatcher::is_disconnected(std::size_t worker) {
    std::lock_guard const lock(mutex_);
    workers_[worker].is_connected = false;
}

void dispatcher::is_unreachable(std::size_t worker) {
    settled failed;
    {
        std::lock_guard const lock(mutex_);
        workers_[worker].is_connected = false;
        if (stopped_ || std::ranges::any_of(workers_, &worker_state::is_connected)) return;
        is_reachable_ = false;
        auto refused = queue_.clear();
        std::ranges::move(corked_, std::back_inserter(refused));
        corked_.clear();
        for (auto const& each : refused) {
            forget(*each);
            settle(each, {error::store_unavailable, {}}, failed);
        }
        wake_all_at_end();
    }
    deliver(std::move(failed));
}

bool dispatcher::pause(std::chrono::milliseconds length) {
    std::unique_lock lock(mutex_);
    return !pauses_end_.wait_for(lock, length, [&] { return has_ended(); });
}

// Sleeps until the earliest deadline, which usually belongs to a finished operation. So it wakes once per timeout and
// needs a notification only when the queue was empty.
void dispatcher::watch_deadlines() {
    std::unique_lock lock(mutex_);
    while (!has_ended()) {
        auto const wake = deadlines_.empty() ? std::chrono::steady_clock::now() + limits_.operation_timeout
                                             : deadline_of(deadlines_.front());
        watch_wakes_.wait_until(lock, wake);
        if (deadlines_.empty()) {
            is_watch_asleep_ = true;
            watch_wakes_.wait(lock, [&] { return has_ended() || !deadlines_.empty(); });
            is_watch_asleep_ = false;
            continue;
        }
        auto late = take_expired(std::chrono::steady_clock::now());
        lock.unlock();
        deliver(std::move(late));
        lock.lock();
    }
}

dispatcher::settled dispatcher::take_expired(time_point now) {
    settled late;
    while (!deadlines_.empty() && deadline_of(deadlines_.front()) <= now) {
        auto& each = deadlines_.front();
        settle(each.shared_from_this(), {error::store_timed_out, {}}, late);
    }
    return late;
}

}  // namespace idempo::postgres
