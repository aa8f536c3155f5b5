// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/layers/signature.hpp>

#include <openssl/crypto.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace idempo::detail {

namespace {

/// -1 for other characters, here and below.
int hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int base64_digit(char c) noexcept {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+') return 62;
    return c == '/' ? 63 : -1;
}

std::optional<signature> decode_hex(std::string_view digits) {
    signature decoded;
    if (digits.size() != 2 * decoded.size()) return std::nullopt;
    for (std::size_t at = 0; at < decoded.size(); ++at) {
        int const high = hex_digit(digits[2 * at]);
        int const low = hex_digit(digits[2 * at + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        decoded[at] = static_cast<unsigned char>(high * 16 + low);
    }
    return decoded;
}

std::optional<signature> decode_base64(std::string_view digits) {
    constexpr std::size_t written = 43;  // 32 bytes are 42 digits and two thirds
    if (digits.size() != written + 1 || digits.back() != '=') return std::nullopt;
    signature decoded;
    std::uint32_t bits = 0;
    unsigned count = 0;
    std::size_t size = 0;
    for (char const c : digits.substr(0, written)) {
        int const digit = base64_digit(c);
        if (digit < 0) return std::nullopt;
        bits = bits << 6U | static_cast<std::uint32_t>(digit);
        count += 6;
        if (count < 8) continue;
        count -= 8;
        decoded[size++] = static_cast<unsigned char>(bits >> count & 0xFFU);
    }
    bool const has_rest = (bits & ((1U << count) - 1U)) != 0;  // would be another spelling of the same signature
    if (has_rest) return std::nullopt;
    return decoded;
}

std::string_view trimmed(std::string_view value) {
    constexpr std::string_view spaces = " \t";
    auto const first = value.find_first_not_of(spaces);
    if (first == std::string_view::npos) return {};
    return value.substr(first, value.find_last_not_of(spaces) - first + 1);
}

}  // namespace

std::optional<signature> decode_signature(std::string_view value, std::string_view prefix,
                                          signature_encoding encoding) {
    auto digits = trimmed(value);
    if (!digits.starts_with(prefix)) return std::nullopt;
    digits.remove_prefix(prefix.size());
    return encoding == signature_encoding::hex ? decode_hex(digits) : decode_base64(digits);
}

namespace {

/// Calls `use` with each part of the text.
template <class Use>
void for_each_part(std::string_view text, char separator, Use use) {
    while (!text.empty()) {
        auto const end = std::min(text.find(separator), text.size());
        use(trimmed(text.substr(0, end)));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

class signature_collector {
public:
    explicit signature_collector(signature_encoding encoding) : encoding_(encoding) {}

    /// A signature that cannot be read is none of ours.
    void add(std::string_view part, std::string_view prefix) {
        if (auto const decoded = decode_signature(part, prefix, encoding_)) field_.signatures.push_back(*decoded);
    }

    void add_time(std::string_view time) { field_.timestamp = times_++ == 0 ? time : std::string_view(); }

    signature_field finish() && {
        constexpr std::size_t most = 16;
        if (field_.signatures.size() > most) field_.signatures.clear();
        return std::move(field_);
    }

private:
    signature_encoding encoding_;
    signature_field field_;
    unsigned times_ = 0;
};

}  // namespace

signature_field read_signatures(std::string_view value, signature_list list, std::string_view prefix,
                                signature_encoding encoding) {
    signature_collector found(encoding);
    switch (list) {
    case signature_list::one: found.add(value, prefix); break;
    case signature_list::spaced:
        for_each_part(value, ' ', [&](std::string_view part) { found.add(part, prefix); });
        break;
    case signature_list::stripe: {
        constexpr std::string_view time = "t=";
        auto const scheme = std::string(prefix).append("=");
        for_each_part(value, ',', [&](std::string_view part) {
            if (part.starts_with(time)) return found.add_time(part.substr(time.size()));
            found.add(part, scheme);
        });
        break;
    }
    }
    return std::move(found).finish();
}

std::string decode_secret(std::string_view base64) {
    constexpr std::size_t group = 4;
    auto const padding = base64.ends_with("==") ? 2U : base64.ends_with('=') ? 1U : 0U;
    auto const digits = base64.substr(0, base64.size() - padding);
    if (base64.size() % group != 0) return {};
    std::string decoded;
    std::uint32_t bits = 0;
    unsigned count = 0;
    for (char const c : digits) {
        int const digit = base64_digit(c);
        if (digit < 0) return {};
        bits = bits << 6U | static_cast<std::uint32_t>(digit);
        count += 6;
        if (count < 8) continue;
        count -= 8;
        decoded += static_cast<char>(bits >> count & 0xFFU);
    }
    return decoded;
}

std::optional<std::chrono::seconds> parse_timestamp(std::string_view value) {
    constexpr std::size_t max_digits = 12;  // thirty thousand years
    auto const digits = trimmed(value);
    if (digits.empty() || digits.size() > max_digits) return std::nullopt;
    std::int64_t seconds = 0;
    for (char const c : digits) {
        if (c < '0' || c > '9') return std::nullopt;
        seconds = 10 * seconds + (c - '0');
    }
    return std::chrono::seconds(seconds);
}

bool are_equal(signature const& left, signature const& right) noexcept {
    return CRYPTO_memcmp(left.data(), right.data(), left.size()) == 0;
}

}  // namespace idempo::detail
