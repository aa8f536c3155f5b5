// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/stores/heartbeat.hpp>

#include <idempo/observer.hpp>
#include <idempo/stores/renewal_schedule.hpp>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/post.hpp>

#include <chrono>
#include <memory>
#include <mutex>
#include <utility>

namespace idempo::detail {

class heartbeat::beating : public std::enable_shared_from_this<beating>, public renewal_queue::entry {
    using clock = std::chrono::steady_clock;

public:
    beating(std::shared_ptr<heartbeats> all, detail::renewal renewal, claim_request const& claim,
            clock::time_point claimed_at, idempo::observer observer)
        : all_(std::move(all)),
          renewal_(std::move(renewal)),
          claim_(claim),
          observer_(std::move(observer)),
          schedule_(claim.lease, claimed_at) {}

    [[nodiscard]] clock::time_point due() const noexcept { return schedule_.due(); }

    /// Drops what renews, and so the store: its owner may be about to end the threads that serve it, and a Renew may be
    /// under way for a while.
    void end(bool ends_timer) noexcept {
        stopped = true;
        all_->remove(*this, ends_timer);
        detail::renewal dropped;  // destroyed after unlocking
        std::lock_guard const lock(mutex_);
        std::swap(dropped, renewal_);
    }

    void renew() {
        // Posted, since nothing is reported under the lock.
        auto renewed = [self = shared_from_this(), asked = clock::now()](error_code error, bool held) {
            boost::asio::post(self->all_->executor_, [self, asked, error, held] { self->renewed(error, held, asked); });
        };
        std::lock_guard const lock(mutex_);
        if (renewal_) renewal_.start(claim_, boost::asio::bind_executor(all_->executor_, std::move(renewed)));
    }

    std::atomic<bool> stopped{false};
    std::atomic<bool> lost{false};

private:
    void renewed(error_code error, bool held, clock::time_point asked) {
        if (stopped) return;
        if (error) report(event_type::store_error, error);
        if (schedule_.renewed(error, held, asked, clock::now())) return all_->add(*this);
        lost.store(true, std::memory_order_release);
        report(event_type::lease_lost, error);
    }

    void report(event_type type, error_code error) {
        event event;
        event.type = type;
        event.step = event_step::renew;
        event.key = claim_.key;
        event.fencing_token = claim_.fencing_token;
        event.error = error;
        notify(observer_, event);
    }

    std::shared_ptr<heartbeats> const all_;
    std::mutex mutex_;
    detail::renewal renewal_;  // guarded by the mutex, since other threads end it
    claim_request const claim_;
    idempo::observer observer_;
    renewal_schedule schedule_;
};

heartbeat heartbeats::start(renewal renewal, claim_request const& claim, clock::time_point claimed_at,
                            idempo::observer observer) {
    auto running = std::make_shared<heartbeat::beating>(shared_from_this(), std::move(renewal), claim, claimed_at,
                                                        std::move(observer));
    add(*running);
    return heartbeat(std::move(running));
}

/// Not where it has been ended meanwhile.
void heartbeats::add(heartbeat::beating& beating) {
    std::lock_guard const lock(mutex_);
    if (beating.stopped) return;
    queue_.add(beating, beating.due());
    try {
        wait_for_next();
    } catch (...) {  // out of memory: whoever added it may not live longer
        queue_.remove(beating);
        throw;
    }
}

void heartbeats::remove(heartbeat::beating& beating, bool ends_timer) noexcept {
    std::lock_guard const lock(mutex_);
    queue_.remove(beating);
    if (!ends_timer || queue_.next()) return;
    if (auto const timer = timer_.lock()) timer->cancel();
    wakes_at_ = clock::time_point::max();
}

/// Renews one. The timer already runs for the next, whatever this one throws. It may have run out early, where what it
/// was for has ended.
void heartbeats::tick() {
    if (auto const due = take_due()) due->renew();
}

std::shared_ptr<heartbeat::beating> heartbeats::take_due() {
    std::lock_guard const lock(mutex_);
    wakes_at_ = clock::time_point::max();
    // Whoever owns it takes it out of the queue first.
    auto* const taken = static_cast<heartbeat::beating*>(queue_.take(clock::now()));
    auto due = taken != nullptr ? taken->shared_from_this() : nullptr;
    wait_for_next();
    return due;
}

void heartbeats::wait_for_next() {
    auto const next = queue_.next();
    if (!next || wakes_at_ <= *next) return;
    auto timer = timer_.lock();
    if (!timer) {
        timer = std::make_shared<boost::asio::steady_timer>(executor_);
        timer_ = timer;
    }
    timer->expires_at(*next);
    auto& waiting = *timer;
    waiting.async_wait([self = shared_from_this(), timer = std::move(timer)](error_code error) {
        if (!error) self->tick();
    });
    wakes_at_ = *next;
}

heartbeat::~heartbeat() {
    if (running_) running_->end(false);
}

void heartbeat::stop() {
    if (!running_) return;
    running_->end(true);
    running_.reset();
}

std::shared_ptr<std::atomic<bool> const> heartbeat::lost() const {
    return running_ ? std::shared_ptr<std::atomic<bool> const>(running_, &running_->lost) : nullptr;
}

}  // namespace idempo::detail
