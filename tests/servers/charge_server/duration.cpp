// SPDX-License-Identifier: MIT
#include "servers/charge_server/duration.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>

namespace {

std::optional<double> milliseconds_in(std::string_view unit) {
    if (unit == "ms") return 1;
    if (unit == "s") return 1'000;
    if (unit == "m") return 60'000;
    if (unit == "h") return 3'600'000;
    return std::nullopt;
}

}  // namespace

std::chrono::milliseconds parse_duration(std::string_view text) {
    constexpr double longest = 1e15;  // of milliseconds: 30,000 years, and far from any overflow
    auto const digits = std::min(text.find_first_not_of("0123456789."), text.size());
    auto const number = text.substr(0, digits);
    auto const unit = milliseconds_in(text.substr(digits));

    double value = 0;
    auto const result = std::from_chars(number.data(), number.data() + number.size(), value, std::chars_format::fixed);
    bool const is_number = result.ec == std::errc{} && result.ptr == number.data() + number.size();
    if (!is_number || !unit || value * *unit > longest) {
        throw std::invalid_argument("'" + std::string(text) + "' is not a duration: a number with ms, s, m or h");
    }
    return std::chrono::milliseconds(std::llround(value * *unit));
}
