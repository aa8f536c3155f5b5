// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/media_type.hpp>

#include <boost/beast/core/string.hpp>

#include <algorithm>
#include <cstddef>

namespace idempo::detail {

namespace {

namespace beast = boost::beast;

constexpr std::string_view blanks = " \t";

std::string_view without_blanks(std::string_view text) noexcept {
    auto const first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

bool has_prefix(std::string_view text, std::string_view prefix) noexcept {
    return text.size() >= prefix.size() && beast::iequals(text.substr(0, prefix.size()), prefix);
}

bool has_suffix(std::string_view text, std::string_view suffix) noexcept {
    return text.size() >= suffix.size() && beast::iequals(text.substr(text.size() - suffix.size()), suffix);
}

/// Where the parameter that begins at `begin` ends: at the next semicolon outside a quoted string.
std::size_t end_of_parameter(std::string_view text, std::size_t begin) noexcept {
    bool quoted = false;
    for (auto at = begin; at < text.size(); ++at) {
        if (quoted && text[at] == '\\') {
            ++at;
        } else if (text[at] == '"') {
            quoted = !quoted;
        } else if (text[at] == ';' && !quoted) {
            return at;
        }
    }
    return text.size();
}

/// RFC 2046, section 5.1.1: 1 to 70 `bchars`, of which the last is no space.
bool is_boundary(std::string_view text) noexcept {
    constexpr std::size_t longest = 70;
    constexpr std::string_view allowed = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'()+_,-./:=? ";
    return !text.empty() && text.size() <= longest && text.back() != ' ' &&
           text.find_first_not_of(allowed) == std::string_view::npos;
}

}  // namespace

std::string_view media_type_of(std::string_view content_type) noexcept {
    return without_blanks(content_type.substr(0, content_type.find(';')));
}

bool is_multipart(std::string_view content_type) noexcept {
    // Looked for without the end of the type, since this runs for every request.
    content_type.remove_prefix(std::min(content_type.find_first_not_of(blanks), content_type.size()));
    return has_prefix(content_type, "multipart/");
}

bool is_json(std::string_view content_type) noexcept {
    auto const type = media_type_of(content_type);
    return beast::iequals(type, "application/json") || has_suffix(type, "+json");
}

std::optional<boundary_parameter> find_boundary(std::string_view content_type) noexcept {
    std::optional<boundary_parameter> found;
    for (auto begin = content_type.find(';'); begin < content_type.size();) {
        auto const end = end_of_parameter(content_type, begin + 1);
        auto const parameter = content_type.substr(begin + 1, end - begin - 1);
        auto const equals = parameter.find('=');
        if (equals != std::string_view::npos &&
            beast::iequals(without_blanks(parameter.substr(0, equals)), "boundary")) {
            if (found) return std::nullopt;
            auto value = without_blanks(parameter.substr(equals + 1));
            if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
                value = value.substr(1, value.size() - 2);
            if (!is_boundary(value)) return std::nullopt;
            found = boundary_parameter{content_type.substr(0, begin), value, content_type.substr(end)};
        }
        begin = end;
    }
    return found;
}

}  // namespace idempo::detail
