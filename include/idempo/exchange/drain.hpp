// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <thread>
#include <utility>

namespace idempo::detail {

inline constexpr std::chrono::milliseconds drain_interval{5};

/// Of a timeout that may be "for ever".
inline std::chrono::steady_clock::time_point end_of(std::chrono::milliseconds timeout) {
    constexpr std::chrono::hours a_year{24 * 365};
    return std::chrono::steady_clock::now() + std::min<std::chrono::milliseconds>(timeout, a_year);
}

/// Waits until nothing is in flight. Returns whether that came about within the timeout.
inline bool drain(std::atomic<std::size_t> const& in_flight, std::chrono::milliseconds timeout) {
    auto const until = end_of(timeout);
    while (in_flight != 0) {
        if (std::chrono::steady_clock::now() >= until) return false;
        std::this_thread::sleep_for(drain_interval);
    }
    return true;
}

/// As `drain`, without blocking: completes with `void(error_code, bool drained)` on the token's executor, by default
/// the given one. `State` has `in_flight`.
template <class State, class Token>
auto async_drain(std::shared_ptr<State> state, boost::asio::any_io_executor executor, std::chrono::milliseconds timeout,
                 Token&& completion_token) {
    namespace asio = boost::asio;
    auto timer = std::make_unique<asio::steady_timer>(executor);
    return asio::async_compose<Token, void(error_code, bool)>(
        [state = std::move(state), timer = std::move(timer), until = end_of(timeout),
         started = false](auto& self, error_code error = {}) mutable {
            bool const drained = state->in_flight == 0;
            bool const ended = error || drained || std::chrono::steady_clock::now() >= until;
            if (!started) self.reset_cancellation_state(asio::enable_total_cancellation());
            if (ended && started) {
                timer.reset();
                return self.complete(error, drained);
            }
            started = true;
            timer->expires_after(ended ? std::chrono::milliseconds{0} : drain_interval);
            auto& waiting = *timer;
            waiting.async_wait(std::move(self));
        },
        completion_token, executor);
}

}  // namespace idempo::detail
