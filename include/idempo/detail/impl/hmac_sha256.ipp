// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/hmac_sha256.hpp>

#include <openssl/crypto.h>

#include <algorithm>

namespace idempo::detail {

namespace {

/// Hashes the key's block with each byte changed, as RFC 2104 requires before the message and before the inner digest.
void add_padded(sha256& hash, std::array<char, 64> const& block, unsigned char pad) {
    std::array<char, 64> padded;
    std::transform(block.begin(), block.end(), padded.begin(),
                   [pad](char byte) { return static_cast<char>(static_cast<unsigned char>(byte) ^ pad); });
    hash.raw({padded.data(), padded.size()});
    OPENSSL_cleanse(padded.data(), padded.size());
}

}  // namespace

hmac_key::hmac_key(std::string_view secret) {
    if (secret.size() <= block_.size()) {
        std::copy(secret.begin(), secret.end(), block_.begin());
    } else {
        auto const digest = sha256().raw(secret).finish();
        std::copy(digest.begin(), digest.end(), block_.begin());
    }
}

hmac_key::~hmac_key() { OPENSSL_cleanse(block_.data(), block_.size()); }

void hmac_key::begin(sha256& hash) const {
    constexpr unsigned char inner_pad = 0x36;
    add_padded(hash, block_, inner_pad);
}

std::array<unsigned char, 32> hmac_key::finish(sha256& hash) const {
    constexpr unsigned char outer_pad = 0x5C;
    auto const digest = hash.finish();
    sha256 outer;
    add_padded(outer, block_, outer_pad);
    outer.raw({reinterpret_cast<char const*>(digest.data()), digest.size()});
    return outer.finish();
}

}  // namespace idempo::detail
