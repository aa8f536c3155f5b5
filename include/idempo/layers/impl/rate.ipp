// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/layers/rate.hpp>

#include <idempo/option_checks.hpp>

namespace idempo {

void validate(rate const& rate) {
    using std::chrono::milliseconds;
    detail::require(rate.limit > 0, "rate.limit must be at least 1");
    detail::require(rate.window > milliseconds::zero(), "rate.window must be positive");
    detail::require(rate.window <= std::chrono::hours{24}, "rate.window must be at most a day");
}

}  // namespace idempo
