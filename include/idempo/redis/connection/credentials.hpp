// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/options.hpp>

#include <string>
#include <string_view>

namespace idempo::redis {

/// What AUTH is sent on the next connection.
/// \throws std::exception where they cannot be read
[[nodiscard]] redis_credentials read_credentials(redis_options const& options);

/// What a server has said, for a log: one line, cut to a reasonable length, without the secret. (Redis repeats the
/// arguments of a command that it does not know.)
[[nodiscard]] std::string loggable(std::string_view words, std::string_view secret);

}  // namespace idempo::redis
