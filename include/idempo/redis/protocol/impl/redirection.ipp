// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/protocol/redirection.hpp>

#include <idempo/redis/protocol/key_slot.hpp>

#include <charconv>
#include <cstddef>
#include <string>
#include <system_error>

namespace idempo::redis {

namespace {

/// A whole number of these digits and nothing else, below `limit`.
std::optional<std::uint16_t> parse_number(std::string_view digits, std::size_t limit) {
    unsigned number = 0;
    auto const [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error != std::errc{} || end != digits.data() + digits.size() || number >= limit) return std::nullopt;
    return static_cast<std::uint16_t>(number);
}

}  // namespace

// "MOVED 3999 127.0.0.1:6381"; the host may be missing, a name, or an IPv6 address without brackets.
std::optional<redirection> read_redirection(std::string_view text) {
    redirection found;
    if (text.starts_with("MOVED ")) {
        text.remove_prefix(6);
    } else if (text.starts_with("ASK ")) {
        found.why = redirection::kind::ask;
        text.remove_prefix(4);
    } else {
        return std::nullopt;
    }
    auto const space = text.find(' ');
    auto const colon = text.rfind(':');
    if (space == std::string_view::npos || colon == std::string_view::npos || colon < space) return std::nullopt;
    auto const slot = parse_number(text.substr(0, space), slot_count);
    auto const port = parse_number(text.substr(colon + 1), 65536);
    if (!slot || !port || *port == 0) return std::nullopt;
    found.slot = *slot;
    found.to = {std::string(text.substr(space + 1, colon - space - 1)), *port};
    return found;
}

}  // namespace idempo::redis
