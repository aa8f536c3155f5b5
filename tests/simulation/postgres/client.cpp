// SPDX-License-Identifier: MIT
#include "simulation/postgres/client.hpp"

#include "simulation/postgres/machine.hpp"
#include "simulation/postgres/network.hpp"

#include <boost/asio/execution/context.hpp>
#include <boost/asio/query.hpp>

#include <utility>

namespace idempo::simulation {

namespace {

postgres_options options_of(scenario const& setup) {
    postgres_options options;
    options.operation_timeout = setup.store_timeout;
    options.connect_timeout = setup.postgres.connect_timeout;
    options.workers = setup.postgres.workers;
    options.sweep_interval = setup.postgres.sweep_interval;
    return options;
}

}  // namespace

postgres_client::postgres_client(surroundings& world, postgres_machine& server, std::size_t process,
                                 asio::any_io_executor executor, entry enter)
    : library_client(world, process, executor),
      server_(server),
      network_(&asio::use_service<postgres_network>(asio::query(executor, asio::execution::context))) {
    network_->open(world, server, process, std::move(enter));
    open_store(options_of(world.setup));
}

void postgres_client::is_called(store_call const& call) { server_.is_called(process(), call); }

void postgres_client::is_answered(store_call const& call) { server_.is_answered(process(), call); }

/// What its destructors want to say is never sent: the store's threads end with the context.
void postgres_client::end(bool) {
    network_->end();
    close_store();
}

void postgres_client::die() { server_.is_dead(process()); }

void postgres_client::cut(std::size_t connection) { network_->cut(connection); }

}  // namespace idempo::simulation
