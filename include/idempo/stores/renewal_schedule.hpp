// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>

#include <chrono>

namespace idempo::detail {

/// When a claim's lease is renewed, and whether it is still held, without a clock or a timer of its own.
///
/// The store's lease begins when the store gets the Claim or the Renew, and no earlier than that was sent. So all times
/// count from sending: a store that answers late makes no lease look longer than it is.
class renewal_schedule {
public:
    using time_point = std::chrono::steady_clock::time_point;

    renewal_schedule(std::chrono::milliseconds lease, time_point claimed_at)
        : lease_(lease),
          sent_(claimed_at),
          held_until_(claimed_at + lease) {}

    /// When the next Renew is to be sent; in the past where the last one took longer.
    [[nodiscard]] time_point due() const noexcept { return sent_ + lease_ / 3; }

    /// A Renew that was sent at `sent` has come to its end. False if the claim may be lost: the store says so, or has
    /// said nothing for a whole lease, and may have given the record to another attempt.
    [[nodiscard]] bool renewed(error_code error, bool held, time_point sent, time_point now) noexcept {
        sent_ = sent;
        if (error) return now < held_until_;
        if (held) held_until_ = sent + lease_;
        return held;
    }

private:
    std::chrono::milliseconds lease_;
    time_point sent_;
    time_point held_until_;
};

}  // namespace idempo::detail
