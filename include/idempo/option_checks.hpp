// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/problem.hpp>

#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <string_view>

/// \file
/// Checks of the options of the middleware and the layers.

namespace idempo::detail {

/// \throws std::invalid_argument
inline void require(bool condition, char const* sentence) {
    if (!condition) throw std::invalid_argument(sentence);
}

/// RFC 9110, section 5.6.2.
[[nodiscard]] inline bool is_token(std::string_view name) {
    constexpr std::string_view specials = "!#$%&'*+-.^_`|~";
    for (char const character : name) {
        bool const alphanumeric = (character >= '0' && character <= '9') || (character >= 'a' && character <= 'z') ||
                                  (character >= 'A' && character <= 'Z');
        if (!alphanumeric && specials.find(character) == std::string_view::npos) return false;
    }
    return !name.empty();
}

[[nodiscard]] inline bool is_retention(std::chrono::milliseconds retention) noexcept {
    return retention > std::chrono::milliseconds::zero() && retention <= std::chrono::hours{24 * 3660};
}

inline void require_refusals(problem_table const& problems) {
    for (std::size_t what = 0; what < refusal_count; ++what) {
        auto const status = problems[static_cast<refusal>(what)].status;
        require(status >= 400 && status <= 599, "options.problems must have statuses from 400 to 599");
    }
}

}  // namespace idempo::detail
