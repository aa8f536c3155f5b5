// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/discovery/client.hpp>

#include <idempo/redis/connection/server_resolver.hpp>
#include <idempo/redis/discovery/cluster_router.hpp>
#include <idempo/redis/discovery/primary_router.hpp>
#include <idempo/redis/discovery/sentinel_router.hpp>

#include <cstdint>
#include <utility>

namespace idempo::redis {

namespace {

std::shared_ptr<connection_setup const> make_setup(redis_options options) {
    validate(options);
    auto setup = std::make_shared<connection_setup>();
    setup->names = std::make_shared<name_resolver>();
    if (options.tls) setup->tls = make_tls_setup(*options.tls);
    setup->options = std::move(options);
    return setup;
}

std::shared_ptr<router> make_router(asio::any_io_executor const& executor,
                                    std::shared_ptr<connection_setup const> const& setup) {
    auto const& options = setup->options;
    if (!options.cluster_nodes.empty()) {
        auto cluster = std::make_shared<cluster_router>(executor, setup);
        cluster->start();
        return cluster;
    }
    if (options.sentinels) {
        return std::make_unique<sentinel_router>(
            executor, setup,
            std::make_shared<sentinel_group>(*options.sentinels, options.connect_timeout, setup->names));
    }
    bool const is_unix = !options.unix_path.empty();
    redis_endpoint const server{is_unix ? options.unix_path : options.host, is_unix ? std::uint16_t{0} : options.port};
    return std::make_unique<primary_router>(executor, setup, std::make_shared<fixed_resolver>(server));
}

}  // namespace

client::client(asio::any_io_executor executor, redis_options options)
    : executor_(std::move(executor)),
      setup_(make_setup(std::move(options))),
      router_(make_router(executor_, setup_)) {}

}  // namespace idempo::redis
