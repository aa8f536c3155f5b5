// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/sha256.hpp>

#include <array>
#include <memory>
#include <string_view>

namespace idempo::detail {

/// A secret as HMAC-SHA-256 needs it. Wiped from memory with the last copy. What comes before each message is hashed
/// once.
class hmac_key {
public:
    explicit hmac_key(std::string_view secret);
    hmac_key(hmac_key const&) = default;
    hmac_key& operator=(hmac_key const&) = default;
    ~hmac_key();

    friend bool operator==(hmac_key const& left, hmac_key const& right) noexcept { return left.block_ == right.block_; }

    /// Puts into a new hash what comes before the message. The key must outlive the hash.
    void begin(sha256& hash) const { hash.behind(inner_.get()); }

    /// The HMAC of what was added since. Nothing may be added afterwards.
    [[nodiscard]] std::array<unsigned char, 32> finish(sha256& hash) const;

private:
    /// A block of SHA-256: the secret, or its digest if it is longer, and zeros.
    std::array<char, 64> block_{};
    std::shared_ptr<void const> inner_;
    std::shared_ptr<void const> outer_;
};

/// HMAC-SHA-256 (RFC 2104, FIPS 198-1) over bytes in pieces. The key must outlive it.
class hmac_sha256 {
public:
    explicit hmac_sha256(hmac_key const& key) : key_(key) { key_.begin(inner_); }

    void update(std::string_view bytes) { inner_.raw(bytes); }

    /// Nothing may be added afterwards.
    [[nodiscard]] std::array<unsigned char, 32> finish() { return key_.finish(inner_); }

private:
    hmac_key const& key_;
    sha256 inner_;
};

}  // namespace idempo::detail
