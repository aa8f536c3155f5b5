// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>

/// \file
/// Points in time that do not overflow. The last one is `never`; everything too far away becomes `never`.

namespace idempo::detail {

using time_point = std::chrono::steady_clock::time_point;

inline constexpr time_point never = time_point::max();

/// `span` after `start`; `start` itself when `span` is negative.
[[nodiscard]] constexpr time_point later(time_point start, std::chrono::milliseconds span) noexcept {
    using std::chrono::milliseconds;
    constexpr auto longest = std::chrono::duration_cast<milliseconds>(time_point::duration::max());
    if (span <= milliseconds::zero()) return start;
    if (span >= longest || start > never - span) return never;
    return start + span;
}

/// From `now` to `deadline`: positive before it, negative from then on, whatever the rounding.
/// The longest duration if the deadline is `never`.
[[nodiscard]] constexpr std::chrono::milliseconds remaining(time_point deadline, time_point now) noexcept {
    using std::chrono::milliseconds;
    if (deadline == never) return milliseconds::max();
    if (deadline > now) return std::chrono::ceil<milliseconds>(deadline - now);
    return std::min(std::chrono::floor<milliseconds>(deadline - now), milliseconds{-1});
}

}  // namespace idempo::detail
