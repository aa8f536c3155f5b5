// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/options.hpp>

#include <string_view>

namespace idempo {

/// The schemes that `parse_redis_url` knows.
[[nodiscard]] bool is_redis_scheme(std::string_view scheme) noexcept;

/// The options that a URL stands for, in addition to `others`:
///
/// - `redis://[[user]:password@]host[:port][/database]`
/// - `rediss://…`: the same over TLS
/// - `redis+unix://[[user]:password@]/path/of/the/socket`
/// - `redis+sentinel://[[user]:password@]host[:26379][,host[:26379]…]/primary_name[/database]`
/// - `redis+cluster://[[user]:password@]host[:port][,host[:port]…]`
/// - `rediss+sentinel://…`, `rediss+cluster://…`: the same over TLS, to the sentinels too
///
/// and behind a `?`, separated by `&`: `database=`, `connections=`, `prefix=`, `wait_replicas=`, `ca_file=`,
/// `verify=none`, `allow_eviction=true`, and for Sentinel `sentinel_user=`, `sentinel_password=` and
/// `sentinel_tls=none`. Whatever is not a letter or a digit may be percent-encoded.
/// \throws std::invalid_argument with a sentence that quotes nothing of the URL, since it may hold a password.
[[nodiscard]] redis_options parse_redis_url(std::string_view url, redis_options others = {});

}  // namespace idempo
