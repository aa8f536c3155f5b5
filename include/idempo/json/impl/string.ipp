// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/json/string.hpp>

namespace idempo::json {

void append_string(std::string& out, std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    out += '"';
    for (char const character : text) {
        auto const octet = static_cast<unsigned char>(character);
        if (octet < 0x20) {
            out += "\\u00";
            out += digits[octet >> 4U];
            out += digits[octet & 0xFU];
            continue;
        }
        if (character == '"' || character == '\\') out += '\\';
        out += character;
    }
    out += '"';
}

}  // namespace idempo::json
