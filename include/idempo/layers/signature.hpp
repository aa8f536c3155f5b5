// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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

/// Where the signatures are in their field.
enum class signature_list {
    /// The whole value is one: the prefix and the signature.
    one,
    /// Separated by spaces, each with the prefix, as while secrets are rotated (https://www.standardwebhooks.com).
    /// Those
    /// with another prefix are ignored: they are of a scheme that this layer does not know.
    spaced,
    /// `t=1492774577,v1=5257a8…,v1=6ffbb5…`: the time of signing, and signatures behind `prefix` and `=`
    /// (https://docs.stripe.com/webhooks/signature).
    stripe,
};

namespace detail {

using signature = std::array<unsigned char, 32>;

/// The signature in a field's value; empty if the value is anything but the prefix and a whole signature. Spaces around
/// the value are ignored.
[[nodiscard]] std::optional<signature> decode_signature(std::string_view value, std::string_view prefix,
                                                        signature_encoding encoding);

/// All that a field says.
struct signature_field {
    /// None where the value cannot be read, or has more than 16.
    std::vector<signature> signatures;
    /// Of `signature_list::stripe`; empty where there is none, or two.
    std::string_view timestamp;
};

[[nodiscard]] signature_field read_signatures(std::string_view value, signature_list list, std::string_view prefix,
                                              signature_encoding encoding);

/// The bytes of a secret in base64 (RFC 4648, section 4, with padding); empty for anything else.
[[nodiscard]] std::string decode_secret(std::string_view base64);

/// Seconds since 1970 in 1 to 12 decimal digits; empty for anything else. Spaces around them are not part of them.
[[nodiscard]] std::optional<std::chrono::seconds> parse_timestamp(std::string_view value);

/// Compares in constant time.
[[nodiscard]] bool are_equal(signature const& left, signature const& right) noexcept;

}  // namespace detail

}  // namespace idempo
