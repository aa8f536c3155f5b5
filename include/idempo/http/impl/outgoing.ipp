// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/http/outgoing.hpp>

#include <idempo/record/response_fields.hpp>

#include <array>
#include <cstddef>
#include <cstdio>
#include <string>
#include <utility>

namespace idempo {

namespace {

/// IMF-fixdate (RFC 9110, section 5.6.7). `strftime` would use the names of the program's locale.
std::string http_date(std::chrono::system_clock::time_point now) {
    constexpr std::array days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    namespace chrono = std::chrono;
    auto const day = chrono::floor<chrono::days>(now);
    chrono::year_month_day const date(day);
    chrono::hh_mm_ss const time(chrono::floor<chrono::seconds>(now - day));
    std::array<char, 64> text{};
    int const size = std::snprintf(text.data(), text.size(), "%s, %02u %s %04d %02d:%02d:%02d GMT",
                                   days[chrono::weekday(day).c_encoding()], static_cast<unsigned>(date.day()),
                                   months[static_cast<unsigned>(date.month()) - 1], static_cast<int>(date.year()),
                                   static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                                   static_cast<int>(time.seconds().count()));
    return {text.data(), static_cast<std::size_t>(size)};
}

}  // namespace

http::message_generator with_date(http::message_generator message, std::chrono::system_clock::time_point now) {
    detail::response_fields fields;
    fields.set("Date", http_date(now));
    return fields.applied_to(std::move(message));
}

http::message_generator with_date(http::message_generator message) {
    return with_date(std::move(message), std::chrono::system_clock::now());
}

http::message_generator with_connection_close(http::message_generator message) {
    if (!message.keep_alive()) return message;
    detail::response_fields fields;
    fields.set("Connection", "close");
    constexpr bool keep_alive = false;
    return fields.applied_to(std::move(message), keep_alive);
}

}  // namespace idempo
