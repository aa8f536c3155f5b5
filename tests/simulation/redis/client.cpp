// SPDX-License-Identifier: MIT
#include "simulation/redis/client.hpp"

#include "simulation/redis/network.hpp"

#include <boost/asio/execution/context.hpp>
#include <boost/asio/query.hpp>

#include <utility>

namespace idempo::simulation {

namespace {

redis_options options_of(scenario const& setup) {
    redis_options options;
    options.operation_timeout = setup.store_timeout;
    options.connect_timeout = setup.redis.connect_timeout;
    options.connections = setup.redis.connections;
    options.claim_by_script = setup.redis.claims_by_script;
    options.health_interval = setup.redis.health_interval;
    if (setup.redis.waits_for_replica) options.wait_replicas = {.count = 1, .timeout = setup.store_timeout / 3};
    return options;
}

}  // namespace

redis_client::redis_client(surroundings& world, redis_machine& server, std::size_t process,
                           asio::any_io_executor executor, entry enter)
    : library_client(world, process, executor),
      network_(&asio::use_service<redis_network>(asio::query(executor, asio::execution::context))) {
    network_->open(world, server, process, std::move(enter));
    open_store(options_of(world.setup));
}

/// What its destructors want to say is never written: the connection is closed before its turn comes.
void redis_client::end(bool) {
    network_->end();
    close_store();
}

void redis_client::cut(std::size_t connection) { network_->cut(connection); }

}  // namespace idempo::simulation
