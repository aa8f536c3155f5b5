// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/hmac_sha256.hpp>

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace idempo {

/// A secret under which store keys and fingerprints are made. Wiped from memory on destruction.
class digest_key {
public:
    /// In bytes.
    static constexpr std::size_t shortest_secret = 16;

    /// \param secret random bytes that nothing else uses, 32 of them say
    /// \throws std::invalid_argument for fewer than `shortest_secret` bytes
    explicit digest_key(std::string_view secret);

    [[nodiscard]] detail::hmac_key const& hmac() const noexcept { return key_; }

    friend bool operator==(digest_key const&, digest_key const&) = default;

private:
    detail::hmac_key key_;
};

/// The secrets for `options::digest_keys`. The first one makes new records. Records that were made under the others are
/// found until they expire.
class digest_keys {
public:
    /// The most secrets in one list: each but the first costs two look-ups for each first request.
    static constexpr std::size_t most = 4;

    /// No secret: SHA-256. Who reads the store can test guesses of a body against its fingerprint.
    digest_keys() = default;
    [[nodiscard]] static digest_keys none() { return {}; }

    /// \throws std::invalid_argument for a list that is empty or longer than `most`, a secret that is too short, or the
    /// same one twice
    digest_keys(std::initializer_list<std::string_view> secrets);
    explicit digest_keys(std::vector<std::string> const& secrets);

    [[nodiscard]] std::vector<digest_key> const& list() const noexcept { return keys_; }

private:
    void add(std::string_view secret);
    void check() const;

    std::vector<digest_key> keys_;
};

}  // namespace idempo
