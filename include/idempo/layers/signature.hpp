#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <string_view>

/// \file
/// Parses a client's signature and time. No I/O, and no secret is needed.

namespace idempo {

/// The encoding of a signature's 32 bytes in its field.
enum class signature_encoding {
    /// 64 hexadecimal digits, in either case.
    hex,
    /// RFC 4648, section 4: 44 characters, the last of them `=`.
    base64,
};

namespace detail {

using signature = std::array<unsigned char, 32>;

/// The signature in a field's value; empty if the value is anything but the prefix and a whole signature. Spaces around
/// the value are ignored.
[[nodiscard]] std::optional<signature> decode_signature(std::string_view value, std::string_view prefix,
                                                        signature_encoding encoding);

/// Seconds since 1970 in 1 to 12 decimal digits; empty for anything else. Spaces around them are ignored.
[[nodiscard]] std::optional<std::chrono::seconds> parse_timestamp(std::string_view value);

/// Compares in constant time.
[[nodiscard]] bool are_equal(signature const& left, signature const& right) noexcept;

}  // namespace detail

}  // namespace idempo
