// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/protocol/reply_error.hpp>

#include <algorithm>
#include <array>

namespace idempo::redis {

namespace {

constexpr std::array<std::string_view, 4> wrong_servers = {"READONLY", "LOADING", "MASTERDOWN", "NOAUTH"};

std::string_view first_word(std::string_view text) { return text.substr(0, text.find(' ')); }

}  // namespace

error_meaning meaning_of(std::string_view text) noexcept {
    constexpr std::string_view wrapped = "ERR Error running script";
    if (text.starts_with(wrapped)) {
        for (std::string_view inner : {"NOSCRIPT", "OOM", "WRONGTYPE", "READONLY", "LOADING", "MASTERDOWN"}) {
            // As in "…: @user_script:5: WRONGTYPE Operation …" and "…: -OOM command not allowed …".
            auto const found = text.find(std::string_view(inner), wrapped.size());
            if (found != std::string_view::npos) return meaning_of(text.substr(found));
        }
        return error_meaning::unavailable;
    }
    auto const word = first_word(text);
    if (word == "NOSCRIPT") return error_meaning::script_unknown;
    if (word == "OOM") return error_meaning::full;
    if (word == "WRONGTYPE") return error_meaning::foreign_value;
    bool const is_wrong_server = std::find(wrong_servers.begin(), wrong_servers.end(), word) != wrong_servers.end();
    return is_wrong_server ? error_meaning::wrong_server : error_meaning::unavailable;
}

error_code code_of(error_meaning meaning) noexcept {
    switch (meaning) {
    case error_meaning::full: return error::store_full;
    case error_meaning::foreign_value: return error::record_unreadable;
    case error_meaning::script_unknown:
    case error_meaning::wrong_server:
    case error_meaning::unavailable: break;
    }
    return error::store_unavailable;
}

}  // namespace idempo::redis
