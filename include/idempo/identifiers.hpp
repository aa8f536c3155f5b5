// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace idempo {

/// Fixed-size opaque bytes. `Tag` makes store key, fingerprint and fencing token different types.
template <class Tag, std::size_t Size>
struct identifier {
    std::array<unsigned char, Size> bytes{};

    friend auto operator<=>(identifier const&, identifier const&) = default;

    /// The raw bytes, for a client library that takes a buffer. Valid while this object lives.
    [[nodiscard]] std::string_view view() const noexcept { return {reinterpret_cast<char const*>(bytes.data()), Size}; }
};

/// SHA-256 over namespace, scope and key, or HMAC-SHA-256 under a `digest_key`. A store sees nothing else of the
/// client's key.
using store_key = identifier<struct store_key_tag, 32>;

/// SHA-256 over what makes two requests "the same" (draft-ietf-httpapi-idempotency-key-header-07, section 2.4), or
/// HMAC-SHA-256 under a `digest_key`.
using fingerprint = identifier<struct fingerprint_tag, 32>;

/// A fencing token: 128 random bits made by the claimer. Claim, Complete, Renew and Abandon are idempotent per fencing
/// token.
using fencing_token = identifier<struct fencing_token_tag, 16>;

/// A new fencing_token from OpenSSL's generator; different in a forked child. Safe from any thread.
/// \throws std::runtime_error if the generator fails.
[[nodiscard]] fencing_token make_fencing_token();

/// Lower-case hexadecimal digits, two a byte.
[[nodiscard]] std::string to_hex(std::string_view bytes);
/// As `to_hex`, at the end of a text.
void append_hex(std::string& to, std::string_view bytes);

/// Hash for unordered containers. Identifiers are uniformly distributed, so their first word will do.
struct identifier_hash {
    template <class Tag, std::size_t Size>
    std::size_t operator()(identifier<Tag, Size> const& id) const noexcept {
        static_assert(Size >= sizeof(std::size_t));
        std::size_t word = 0;
        std::memcpy(&word, id.bytes.data(), sizeof word);
        return word;
    }
};

}  // namespace idempo
