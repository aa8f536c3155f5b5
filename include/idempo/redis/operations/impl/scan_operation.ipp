// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/operations/scan_operation.hpp>

#include <idempo/redis/protocol/reply_error.hpp>

#include <idempo/listing.hpp>

#include <charconv>
#include <system_error>
#include <utility>

namespace idempo::redis {

namespace {

std::optional<std::uint64_t> read_scan_cursor(std::string_view digits) {
    std::uint64_t cursor = 0;
    auto const* const end = digits.data() + digits.size();
    auto const [stopped, error] = std::from_chars(digits.data(), end, cursor);
    if (error != std::errc() || stopped != end || digits.empty()) return std::nullopt;
    return cursor;
}

}  // namespace

std::string pattern_of_prefix(std::string_view prefix) {
    std::string pattern;
    for (char const each : prefix) {
        if (std::string_view("\\*?[]").find(each) != std::string_view::npos) pattern += '\\';
        pattern += each;
    }
    return pattern + '*';
}

std::optional<store_key> key_in(std::string_view redis_key, std::string_view prefix) {
    if (!redis_key.starts_with(prefix)) return std::nullopt;
    return idempo::detail::key_from_hex(redis_key.substr(prefix.size()));
}

scan_operation::scan_operation(scan_range range, std::string_view prefix, boost::asio::any_io_executor executor,
                               handler done)
    : called_operation({}, {}, std::move(executor), std::move(done), operation_kind::unordered),
      range_(std::move(range)),
      prefix_(prefix) {}

void scan_operation::append_command(std::string& to, server_abilities) {
    redis::append_command(to, {"SCAN", std::to_string(range_.cursor), "MATCH",
                               pattern_of_prefix(prefix_ + range_.digits), "COUNT", std::to_string(range_.count)});
}

reading scan_operation::read(reply_view answer_) {
    if (answer_.is_error()) {
        auto const meaning = meaning_of(answer_.text());
        return meaning == error_meaning::wrong_server ? reading::wrong_connection : answer(code_of(meaning));
    }
    auto const cursor = read_scan_cursor(answer_[0].text());
    if (answer_.size() != 2 || !cursor || !answer_[1].is_array()) return reading::wrong_connection;
    scanned_keys found{.cursor = *cursor, .keys = {}};
    for (std::size_t each = 0; each < answer_[1].size(); ++each) {
        if (auto const key = key_in(answer_[1][each].text(), prefix_)) found.keys.push_back(*key);
    }
    return answer(std::move(found));
}

}  // namespace idempo::redis
