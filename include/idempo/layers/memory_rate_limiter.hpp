// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>
#include <idempo/identifiers.hpp>
#include <idempo/layers/rate.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>

namespace idempo {

struct memory_rate_limiter_options {
    /// Windows in memory at once; each takes some 130 bytes.
    std::size_t max_clients = 100'000;
    /// Must neither go backwards nor throw; called concurrently. Empty: `std::chrono::steady_clock::now`.
    std::function<std::chrono::steady_clock::time_point()> clock{};
};

/// Counts the requests of this process.
///
/// A handle: copies share the windows, and any member may be called from any thread. Blocks only for a mutex that is
/// held during a few look-ups.
///
/// If `max_clients` windows are open, a new client's window replaces the one that ends soonest, whose client then gets
/// a new one early. Refusing new clients instead would let an attacker with that many addresses lock the others out.
class memory_rate_limiter {
public:
    /// \throws std::invalid_argument if the rate is invalid, or `max_clients` is 0
    explicit memory_rate_limiter(rate rate, memory_rate_limiter_options options = {});

    /// \post `error` is clear
    [[nodiscard]] rate_decision take(store_key const& client, error_code& error);

    [[nodiscard]] rate get_rate() const noexcept;

    /// Windows in memory, ended ones included.
    [[nodiscard]] std::size_t size() const;

private:
    class windows;

    std::shared_ptr<windows> windows_;
};

}  // namespace idempo
