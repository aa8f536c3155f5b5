// SPDX-License-Identifier: MIT
#include "simulation/redis/command_reader.hpp"

#include <charconv>
#include <stdexcept>
#include <utility>

namespace idempo::simulation {

/// Nothing where the line is not complete.
std::optional<std::size_t> redis_command_reader::number_after(char kind, std::size_t& at) const {
    auto const end = unread_.find("\r\n", at);
    if (end == std::string::npos) return std::nullopt;
    std::size_t number = 0;
    auto const* const last = unread_.data() + end;
    bool const is_kind = unread_[at] == kind;
    auto const [stopped, error] = std::from_chars(unread_.data() + at + 1, last, number);
    if (!is_kind || error != std::errc() || stopped != last) throw std::runtime_error("not a command of Redis");
    at = end + 2;
    return number;
}

std::optional<redis_words> redis_command_reader::next() {
    std::size_t at = 0;
    auto const count = unread_.empty() ? std::nullopt : number_after('*', at);
    if (!count) return std::nullopt;
    redis_words words;
    while (words.size() < *count) {
        auto const size = at < unread_.size() ? number_after('$', at) : std::nullopt;
        if (!size || unread_.size() - at < *size + 2) return std::nullopt;
        words.push_back(unread_.substr(at, *size));
        at += *size + 2;
    }
    unread_.erase(0, at);
    return words;
}

}  // namespace idempo::simulation
