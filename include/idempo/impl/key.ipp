// SPDX-License-Identifier: MIT
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

/// What a field value may hold (RFC 9110, section 5.5), from the first visible character to the last.
std::optional<std::string> parse_opaque_key(std::string_view field_value) {
    constexpr std::string_view blanks = " \t";
    auto const first = field_value.find_first_not_of(blanks);
    if (first == std::string_view::npos) return std::nullopt;
    auto const key = field_value.substr(first, field_value.find_last_not_of(blanks) - first + 1);
    bool const has_controls = std::any_of(key.begin(), key.end(), [](char c) {
        auto const octet = static_cast<unsigned char>(c);
        return octet < 0x20 || octet == 0x7F;
    });
    if (has_controls || key.size() > max_key_length) return std::nullopt;
    return std::string(key);
}

bool has_valid_length(std::string_view key) noexcept { return !key.empty() && key.size() <= max_key_length; }

}  // namespace

std::optional<std::string> parse_key(std::string_view field_value, key_syntax syntax) {
    if (syntax == key_syntax::opaque) return parse_opaque_key(field_value);
    auto const value = without_spaces_around(field_value);
    if (syntax == key_syntax::lenient && has_valid_length(value) && is_bare_key(value)) return std::string(value);

    std::string key;
    key.reserve(std::min(value.size(), max_key_length));
    if (!detail::parse_string_item(value, key) || !has_valid_length(key)) return std::nullopt;
    return key;
}

store_key make_store_key(std::string_view key_namespace, std::string_view scope, std::string_view key,
                         std::optional<endpoint> where, digest_key const* secret) {
    detail::sha256 hash;
    if (secret != nullptr) {
        secret->hmac().begin(hash);
        hash.part("store key");
    }
    hash.part(key_namespace).part(scope).part(key);
    if (where) hash.part(where->method).part(where->path);
    return store_key{secret != nullptr ? secret->hmac().finish(hash) : hash.finish()};
}

}  // namespace idempo
