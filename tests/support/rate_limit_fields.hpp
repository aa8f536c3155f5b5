// SPDX-License-Identifier: MIT
#pragma once

#include "support/requests.hpp"

#include <string>
#include <string_view>

namespace idempo::tests {

/// What `RateLimit` says is left, by the first of its policies; empty where there is no such field.
inline std::string remaining_in(text_response const& response) {
    constexpr std::string_view parameter = ";r=";
    std::string_view const value = response["RateLimit"];
    auto const start = value.find(parameter);
    if (start == std::string_view::npos) return {};
    auto const digits = value.substr(start + parameter.size());
    return std::string(digits.substr(0, digits.find_first_not_of("0123456789")));
}

}  // namespace idempo::tests
