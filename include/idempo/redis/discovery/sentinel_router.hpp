// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/connection/connection.hpp>
#include <idempo/redis/discovery/primary_router.hpp>
#include <idempo/redis/discovery/router.hpp>
#include <idempo/redis/discovery/sentinel_protocol.hpp>
#include <idempo/redis/discovery/sentinel_watch.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <memory>

namespace idempo::redis {

/// For a primary that Sentinel watches: the connections ask where it is before they are made, and are told when it is
/// elsewhere.
class sentinel_router final : public router {
public:
    sentinel_router(asio::any_io_executor const& executor, std::shared_ptr<connection_setup const> const& setup,
                    std::shared_ptr<sentinel_group const> const& group);
    ~sentinel_router() override;

    void submit(std::unique_ptr<operation> submitted) override { primary_.submit(std::move(submitted)); }

private:
    primary_router primary_;
    std::shared_ptr<sentinel_watch> watch_;
};

}  // namespace idempo::redis
