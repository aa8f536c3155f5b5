// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/digest_key.hpp>

#include <idempo/option_checks.hpp>

#include <algorithm>
#include <utility>

namespace idempo {

namespace {

std::string_view checked_secret(std::string_view secret) {
    detail::require(secret.size() >= digest_key::shortest_secret, "digest_key needs a secret of at least 16 bytes");
    return secret;
}

}  // namespace

digest_key::digest_key(std::string_view secret) : key_(checked_secret(secret)) {}

digest_keys::digest_keys(std::initializer_list<std::string_view> secrets) {
    for (auto const secret : secrets) add(secret);
    check();
}

digest_keys::digest_keys(std::vector<std::string> const& secrets) {
    for (auto const& secret : secrets) add(secret);
    check();
}

void digest_keys::add(std::string_view secret) {
    digest_key made(secret);
    detail::require(std::find(keys_.begin(), keys_.end(), made) == keys_.end(), "digest_keys has a secret twice");
    keys_.push_back(std::move(made));
}

void digest_keys::check() const {
    // A list that was read from a configuration is empty by mistake.
    detail::require(!keys_.empty(), "digest_keys needs a secret; digest_keys::none() is for no secret");
    detail::require(keys_.size() <= most, "digest_keys has too many secrets");
}

}  // namespace idempo
