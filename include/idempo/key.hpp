// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/digest_key.hpp>
#include <idempo/identifiers.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace idempo {

/// How the value of the key's field may be written.
enum class key_syntax {
    /// An RFC 9651 String, `"abc"`, or the bare `abc` that many clients send: the same key.
    lenient,
    /// An RFC 9651 String only (draft-ietf-httpapi-idempotency-key-header-07, section 2.1).
    strict,
    /// The value as it is, for contracts that are not the draft's: `"abc"` and `abc` are two keys. Any bytes but
    /// control
    /// characters; blanks around the value do not count.
    opaque,
};

/// Characters in a key, without quotes and escapes.
inline constexpr std::size_t max_key_length = 255;

/// The key in the value of one field line; empty when it is malformed, or has not 1 to `max_key_length` characters.
///
/// The String (RFC 9651, sections 4.2 and 4.2.5) has the characters 0x20 to 0x7E, `\"` and `\\` escaped. Parameters
/// are checked and ignored. A bare key has the characters 0x21 to 0x7E except `"`, `\`, `,` and `;`, so that a list of
/// keys is not taken for one. Spaces around either are allowed.
[[nodiscard]] std::optional<std::string> parse_key(std::string_view field_value, key_syntax syntax);

/// Which of a service's operations a request asks for, where each has keys of its own.
struct endpoint {
    std::string_view method;
    /// Without the query.
    std::string_view path;
};

/// SHA-256 over the parts, each after its length: no two different lists of parts give the same store key. With a
/// secret, HMAC-SHA-256 over "store key" and the parts.
/// \param key_namespace keeps services that share a store apart; may be empty.
/// \param scope who the key belongs to; empty where all callers share their keys.
/// \param key as `parse_key` returned it.
/// \param where empty where all endpoints share their keys.
/// \param secret of `options::digest_keys`; null: none.
/// \throws std::runtime_error when OpenSSL fails.
[[nodiscard]] store_key make_store_key(std::string_view key_namespace, std::string_view scope, std::string_view key,
                                       std::optional<endpoint> where = {}, digest_key const* secret = nullptr);

}  // namespace idempo
