// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/connection/connection.hpp>
#include <idempo/redis/connection/server_resolver.hpp>
#include <idempo/redis/discovery/router.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <memory>
#include <vector>

namespace idempo::redis {

/// For one server that has all keys: each key has its way among a few connections.
class primary_router final : public router {
public:
    primary_router(asio::any_io_executor const& executor, std::shared_ptr<connection_setup const> const& setup,
                   std::shared_ptr<server_resolver> const& finds);
    ~primary_router() override;

    void submit(std::unique_ptr<operation> submitted) override;

    [[nodiscard]] std::vector<std::shared_ptr<connection>> const& connections() const noexcept { return connections_; }

private:
    std::vector<std::shared_ptr<connection>> connections_;
};

}  // namespace idempo::redis
