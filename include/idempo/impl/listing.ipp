// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/listing.hpp>

#include <cstddef>
#include <string_view>

namespace idempo::detail {

namespace {

int value_of_digit(char digit) {
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    return -1;
}

}  // namespace

std::optional<store_key> key_from_hex(std::string_view digits) {
    store_key key;
    if (digits.size() != 2 * key.bytes.size()) return std::nullopt;
    for (std::size_t i = 0; i < key.bytes.size(); ++i) {
        int const high = value_of_digit(digits[2 * i]);
        int const low = value_of_digit(digits[2 * i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        key.bytes[i] = static_cast<unsigned char>(high * 16 + low);
    }
    return key;
}

}  // namespace idempo::detail
