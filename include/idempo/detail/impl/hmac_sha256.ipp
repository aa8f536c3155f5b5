// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/hmac_sha256.hpp>

#include <openssl/crypto.h>

#include <algorithm>

namespace idempo::detail {

namespace {

/// The hash of the key's block with each byte changed, as RFC 2104 requires before the message and before the inner
/// digest.
std::shared_ptr<void const> hash_padded(std::array<char, 64> const& block, unsigned char pad) {
    std::array<char, 64> padded;
    std::transform(block.begin(), block.end(), padded.begin(),
                   [pad](char byte) { return static_cast<char>(static_cast<unsigned char>(byte) ^ pad); });
    auto hashed = prepared_sha256({padded.data(), padded.size()});
    OPENSSL_cleanse(padded.data(), padded.size());
    return hashed;
}

}  // namespace

hmac_key::hmac_key(std::string_view secret) {
    constexpr unsigned char inner_pad = 0x36;
    constexpr unsigned char outer_pad = 0x5C;
    if (secret.size() <= block_.size()) {
        std::copy(secret.begin(), secret.end(), block_.begin());
    } else {
        auto const digest = sha256().raw(secret).finish();
        std::copy(digest.begin(), digest.end(), block_.begin());
    }
    inner_ = hash_padded(block_, inner_pad);
    outer_ = hash_padded(block_, outer_pad);
}

hmac_key::~hmac_key() { OPENSSL_cleanse(block_.data(), block_.size()); }

std::array<unsigned char, 32> hmac_key::finish(sha256& hash) const {
    auto const digest = hash.finish();
    return sha256().behind(outer_.get()).raw({reinterpret_cast<char const*>(digest.data()), digest.size()}).finish();
}

}  // namespace idempo::detail
