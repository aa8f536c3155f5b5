// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/connection/transport.hpp>
#include <idempo/redis/protocol/operation.hpp>

#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <memory>
#include <utility>
#include <variant>

namespace idempo::redis {

/// What carries out the decisions of a machine without I/O: its link, its timer and its clock. Everything happens on
/// the strand.
///
/// The machine has `take_actions()`, a vector of variants that is empty in the end; `next_time()`; and `on_time(now)`.
/// \tparam Owner derives from this and from `std::enable_shared_from_this`. It has `perform(action)` for each kind of
///         action, and `flush()`, called after them. What is pending keeps it alive.
template <class Owner, class Machine>
class machine_runner {
public:
    machine_runner(machine_runner const&) = delete;
    machine_runner& operator=(machine_runner const&) = delete;

protected:
    template <class... Arguments>
    explicit machine_runner(strand executor, Arguments&&... arguments)
        : strand_(std::move(executor)),
          machine_(std::forward<Arguments>(arguments)...),
          timer_(strand_) {}
    ~machine_runner() = default;

    /// Tells the machine of an event, `event(machine, now)`, and does what follows from it.
    template <class Event>
    void handle(Event event) {
        event(machine_, std::chrono::steady_clock::now());
        if (is_acting_) return;  // an action has led to it: what follows comes after that action
        act();
        owner().flush();
        watch_time();
    }

    /// A completion of what is dialled now: nothing follows from it when that has been hung up.
    template <class Then>
    [[nodiscard]] auto of_link(Then then) {
        return [self = owner().shared_from_this(), this, used = transport_, then = std::move(then)](auto... results) {
            if (used == transport_) then(results...);
        };
    }

    void hang_up() {
        if (transport_) transport_->close();
        transport_.reset();
    }

    void stop_timer() { timer_.cancel(); }

    strand strand_;
    Machine machine_;
    std::shared_ptr<transport> transport_;  // null where nothing is dialled

private:
    [[nodiscard]] Owner& owner() noexcept { return static_cast<Owner&>(*this); }

    void act() {
        is_acting_ = true;
        for (auto wanted = machine_.take_actions(); !wanted.empty(); wanted = machine_.take_actions()) {
            for (auto& each : wanted) std::visit([this](auto& action) { owner().perform(action); }, each);
        }
        is_acting_ = false;
    }

    // A time that has become later wakes the machine for nothing, once: cheaper than a timer set for each operation.
    void watch_time() {
        auto const next = machine_.next_time();
        if (!next || (is_timer_set_ && timer_.expiry() <= *next)) return;
        is_timer_set_ = true;
        timer_.expires_at(*next);
        timer_.async_wait([self = owner().shared_from_this(), this](error_code is_cancelled) {
            if (is_cancelled) return;
            is_timer_set_ = false;
            handle([](Machine& machine, time_point now) { machine.on_time(now); });
        });
    }

    bool is_acting_ = false;
    asio::steady_timer timer_;
    bool is_timer_set_ = false;
};

}  // namespace idempo::redis
