#pragma once

#include <idempo/key.hpp>

#include <idempo/detail/structured_field.hpp>

#include <idempo/detail/sha256.hpp>

#include <algorithm>
#include <utility>

namespace idempo {

namespace {

std::string_view without_spaces_around(std::string_view text) noexcept {
    auto const first = text.find_first_not_of(' ');
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

bool is_bare_key(std::string_view text) noexcept {
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return c >= '!' && c <= '~' && c != '"' && c != '\\' && c != ',' && c != ';'; });
}

bool has_valid_length(std::string_view key) noexcept { return !key.empty() && key.size() <= max_key_length; }

}  // namespace

std::optional<std::string> parse_key(std::string_view field_value, key_syntax syntax) {
    auto const value = without_spaces_around(field_value);
    if (syntax == key_syntax::lenient && has_valid_length(value) && is_bare_key(value)) return std::string(value);

    std::string key;
    key.reserve(std::min(value.size(), max_key_length));
    if (!detail::parse_string_item(value, key) || !has_valid_length(key)) return std::nullopt;
    return key;
}

store_key make_store_key(std::string_view key_namespace, std::string_view scope, std::string_view key) {
    return store_key{detail::sha256().part(key_namespace).part(scope).part(key).finish()};
}

}  // namespace idempo
