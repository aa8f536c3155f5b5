#pragma once

#include <idempo/layers/signature.hpp>

#include <openssl/crypto.h>

#include <cstddef>
#include <cstdint>

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

std::optional<std::chrono::seconds> parse_timestamp(std::string_view value) {
    constexpr std::size_t most_digits = 12;  // thirty thousand years
    auto const digits = trimmed(value);
    if (digits.empty() || digits.size() > most_digits) return std::nullopt;
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
