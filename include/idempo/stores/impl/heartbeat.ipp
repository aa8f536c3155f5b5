// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/stores/heartbeat.hpp>

#include <idempo/observer.hpp>
#include <idempo/stores/renewal_schedule.hpp>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>

#include <chrono>
#include <mutex>

namespace idempo::detail {

class heartbeat::beating : public std::enable_shared_from_this<beating> {
    using clock = std::chrono::steady_clock;

public:
    beating(boost::asio::any_io_executor const& executor, renew_function renew, claim_request const& claim,
            clock::time_point claimed_at, idempo::observer observer)
        : strand_(boost::asio::make_strand(executor)),
          timer_(strand_),
          renew_(std::move(renew)),
          claim_(claim),
          observer_(std::move(observer)),
          schedule_(claim.lease, claimed_at) {}

    void start() {
        boost::asio::dispatch(strand_, [self = shared_from_this()] { self->wait(); });
    }

    /// Drops the function for renewing, and so the store: its owner may be about to end the threads that serve it, and
    /// the timer may run for a while.
    void end() noexcept {
        stopped = true;
        renew_function dropped;  // destroyed after unlocking
        std::lock_guard const lock(mutex_);
        dropped.swap(renew_);
    }

    void cancel_timer() {
        boost::asio::dispatch(strand_, [self = shared_from_this()] { self->timer_.cancel(); });
    }

    std::atomic<bool> stopped{false};
    std::atomic<bool> lost{false};

private:
    void wait() {
        if (stopped || lost) return;
        timer_.expires_at(schedule_.due());
        timer_.async_wait([self = shared_from_this()](error_code error) {
            if (!error && !self->stopped) self->renew();
        });
    }

    void renew() {
        // Posted, since nothing is reported under the lock.
        auto renewed = [self = shared_from_this(), asked = clock::now()](error_code error, bool held) {
            boost::asio::post(self->strand_, [self, asked, error, held] { self->renewed(error, held, asked); });
        };
        std::lock_guard const lock(mutex_);
        if (renew_) renew_(boost::asio::bind_executor(strand_, std::move(renewed)));
    }

    void renewed(error_code error, bool held, clock::time_point asked) {
        if (stopped) return;
        if (error) report(event_type::store_error, error);
        if (!schedule_.renewed(error, held, asked, clock::now())) {
            lost.store(true, std::memory_order_release);
            report(event_type::lease_lost, error);
        }
        wait();
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

    boost::asio::strand<boost::asio::any_io_executor> strand_;
    boost::asio::steady_timer timer_;
    std::mutex mutex_;
    renew_function renew_;  // guarded by the mutex, since other threads end it
    claim_request claim_;
    idempo::observer observer_;
    renewal_schedule schedule_;
};

heartbeat heartbeat::start(boost::asio::any_io_executor const& executor, renew_function renew,
                           claim_request const& claim, std::chrono::steady_clock::time_point claimed_at,
                           idempo::observer observer) {
    auto running = std::make_shared<beating>(executor, std::move(renew), claim, claimed_at, std::move(observer));
    running->start();
    return heartbeat(std::move(running));
}

heartbeat::~heartbeat() {
    if (running_) running_->end();
}

void heartbeat::stop() {
    if (!running_) return;
    running_->end();
    running_->cancel_timer();
    running_.reset();
}

std::shared_ptr<std::atomic<bool> const> heartbeat::lost() const {
    return running_ ? std::shared_ptr<std::atomic<bool> const>(running_, &running_->lost) : nullptr;
}

}  // namespace idempo::detail
