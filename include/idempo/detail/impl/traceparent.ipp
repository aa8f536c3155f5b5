// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/traceparent.hpp>

#include <algorithm>

namespace idempo::detail {

namespace {

/// Takes digits and the hyphen behind them; false where they are something else.
bool takes_digits(std::string_view& rest, std::size_t count, bool may_be_zeros) noexcept {
    auto const digits = rest.substr(0, count);
    bool const are_digits = digits.size() == count && std::all_of(digits.begin(), digits.end(), [](char c) {
                                return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                            });
    if (!are_digits || (!may_be_zeros && digits.find_first_not_of('0') == std::string_view::npos)) return false;
    rest.remove_prefix(count);
    if (rest.empty()) return true;
    bool const goes_on = rest.front() == '-';
    rest.remove_prefix(1);
    return goes_on;
}

}  // namespace

bool traceparent::is_valid(std::string_view value) noexcept {
    if (value.size() != length || value.substr(0, 2) == "ff") return false;
    return takes_digits(value, 2, true) && takes_digits(value, 32, false) && takes_digits(value, 16, false) &&
           takes_digits(value, 2, true);
}

traceparent traceparent::parse(std::string_view value) noexcept {
    bool const is_longer = value.size() > length;
    if (is_longer && (value.substr(0, 2) == "00" || value[length] != '-')) return {};
    auto const known = value.substr(0, length);
    if (!is_valid(known)) return {};
    traceparent parsed;
    parsed.size_ = known.copy(parsed.bytes_.data(), known.size());
    return parsed;
}

}  // namespace idempo::detail
