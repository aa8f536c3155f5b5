// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/options.hpp>
#include <idempo/stores/any_store.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <string_view>

namespace idempo {

/// For `open_store`: `postgresql:` and `postgres:`, as `parse_postgres_url` reads them.
struct postgres_scheme {
    /// What the URL does not say.
    postgres_options others{};

    [[nodiscard]] bool accepts(std::string_view scheme) const noexcept {
        return scheme == "postgresql" || scheme == "postgres";
    }
    [[nodiscard]] any_store open(asio::any_io_executor executor, std::string_view url) const;
};

}  // namespace idempo
