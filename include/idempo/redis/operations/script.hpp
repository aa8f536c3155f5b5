// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/identifiers.hpp>

#include <string_view>

namespace idempo::redis {

/// A Lua script and the digest by which Redis knows it.
struct script {
    /// The last argument of a call.
    std::string_view name;
    /// Lower-case hexadecimal digits.
    std::string_view sha1;
    /// That of all operations: it calls the one that is named.
    std::string_view source;
};

/// The scripts of the store and of the rate limiter. Each is made at its first use and lives until the process ends.
namespace scripts {

[[nodiscard]] script const& abandon();
[[nodiscard]] script const& claim();
[[nodiscard]] script const& complete();
[[nodiscard]] script const& fetch();
[[nodiscard]] script const& park();
[[nodiscard]] script const& peek();
[[nodiscard]] script const& peek_many();
[[nodiscard]] script const& renew();
[[nodiscard]] script const& save_step();
[[nodiscard]] script const& settle();
[[nodiscard]] script const& take();

}  // namespace scripts

}  // namespace idempo::redis
