// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/connection/connection.hpp>
#include <idempo/redis/discovery/router.hpp>

#include <idempo/redis/options.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

namespace idempo::redis {

/// What the copies of a redis_store share: the way to the server or servers, which goes with the last copy.
class client {
public:
    /// \throws std::invalid_argument
    client(asio::any_io_executor executor, redis_options options);

    [[nodiscard]] asio::any_io_executor const& executor() const noexcept { return executor_; }
    [[nodiscard]] std::string_view prefix() const noexcept { return setup_->options.prefix; }

    void submit(std::unique_ptr<operation> submitted) { router_->submit(std::move(submitted)); }
    [[nodiscard]] bool takes_many_keys() const noexcept { return router_->takes_many_keys(); }
    [[nodiscard]] std::optional<std::uint16_t> next_primary(std::uint16_t slot) const {
        return router_->next_primary(slot);
    }

private:
    asio::any_io_executor executor_;
    std::shared_ptr<connection_setup const> setup_;
    std::shared_ptr<router> router_;
};

}  // namespace idempo::redis
