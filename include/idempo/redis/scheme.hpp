// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/options.hpp>
#include <idempo/redis/url.hpp>
#include <idempo/stores/any_store.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <string_view>

namespace idempo {

/// For `open_store`: `redis:` and its kin, as `parse_redis_url` reads them.
struct redis_scheme {
    /// What the URL does not say.
    redis_options others{};

    [[nodiscard]] bool accepts(std::string_view scheme) const noexcept { return is_redis_scheme(scheme); }
    [[nodiscard]] any_store open(asio::any_io_executor executor, std::string_view url) const;
};

}  // namespace idempo
