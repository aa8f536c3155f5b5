// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>
#include <idempo/identifiers.hpp>

#include <chrono>
#include <concepts>

namespace idempo {

/// A limit of requests of each client in a window. A window begins with a client's first request, and the next one with
/// the first request after its end. So a client can send up to twice `limit` within the length of a window, at the end
/// of one and at the beginning of the next.
struct rate {
    /// At least 1.
    unsigned limit = 60;
    /// More than zero, at most a day.
    std::chrono::milliseconds window{60'000};
};

/// \throws std::invalid_argument
void validate(rate const& rate);

/// A limiter's decision about one request.
struct rate_decision {
    rate_decision() = default;
    rate_decision(bool allowed_, unsigned remaining_, std::chrono::milliseconds reset_)
        : allowed(allowed_),
          remaining(remaining_),
          reset(reset_) {}

    bool allowed = false;
    /// Requests left in this window.
    unsigned remaining = 0;
    /// Until the window ends.
    std::chrono::milliseconds reset{0};
};

/// Counts requests, on the calling thread. A digest names the client: see `rate_limit`.
template <class Limiter>
concept rate_limiter = std::copy_constructible<Limiter> && requires(Limiter& limiter, Limiter const& unchanged,
                                                                    store_key const& client, error_code& error) {
    { limiter.take(client, error) } -> std::same_as<rate_decision>;
    { unchanged.get_rate() } -> std::convertible_to<rate>;
};

/// Counts requests, without blocking: `async_take(client, token)` completes with `void(error_code, rate_decision)` on
/// the completion token's associated executor, by default on `get_executor()`.
template <class Limiter>
concept async_rate_limiter =
    std::copy_constructible<Limiter> && requires(Limiter& limiter, Limiter const& unchanged, store_key const& client,
                                                 void (*done)(error_code, rate_decision)) {
        limiter.async_take(client, done);
        unchanged.get_executor();
        { unchanged.get_rate() } -> std::convertible_to<rate>;
    };

}  // namespace idempo
