// SPDX-License-Identifier: MIT
#pragma once

#include "idempoctl/store_link.hpp"

#include <idempo/identifiers.hpp>

#include <string>

namespace idempoctl {

/// Which record is meant.
struct key_choice {
    /// What the client sends; with `is_digest`, the first digits of the store key, as a log prints them, or all 64.
    std::string key;
    bool is_digest = false;
    /// `options.key_namespace`
    std::string key_namespace{};
    /// What `scope::principal` returns for the caller; empty in any other scope.
    std::string scope{};
    /// `POST /charges`, with `options.per_endpoint`; else empty.
    std::string endpoint{};
    /// A file with the secret of `options.digest_keys` that made the record, without its last line end; else empty.
    std::string secret_file{};
};

/// The fewest digits that are looked up.
inline constexpr std::size_t fewest_digits = 6;

/// The store key of a client's key.
/// \throws failure where the choice makes no sense
[[nodiscard]] idempo::store_key client_key(key_choice const& choice);

/// The same, or what the digits stand for: for fewer than 64 the store is searched.
/// \throws failure where none or several keys begin with them
[[nodiscard]] idempo::store_key find_key(store_link& link, key_choice const& choice);

}  // namespace idempoctl
