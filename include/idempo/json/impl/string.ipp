// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/json/string.hpp>

namespace idempo::json {

namespace {

/// The letter of a control character that has a short escape; 0 for the others.
constexpr char short_escape(char character) noexcept {
    switch (character) {
    case '\b': return 'b';
    case '\t': return 't';
    case '\n': return 'n';
    case '\f': return 'f';
    case '\r': return 'r';
    default: return 0;
    }
}

}  // namespace

/// Escapes as RFC 8785, section 3.2.2.2, does: never longer than the text that the string was read from.
void append_string(std::string& out, std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    out += '"';
    for (char const character : text) {
        if (char const letter = short_escape(character)) {
            out += '\\';
            out += letter;
            continue;
        }
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
