// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/library_client.hpp"
#include "simulation/surroundings.hpp"

#include <idempo/postgres/store.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <cstddef>

namespace idempo::simulation {

class postgres_machine;
class postgres_network;

/// A process's client of PostgreSQL: the library's own store, its threads as fibers, over a simulated libpq.
class postgres_client final : public library_client<postgres_store> {
public:
    postgres_client(surroundings& world, postgres_machine& server, std::size_t process, asio::any_io_executor executor,
                    entry enter);

    void end(bool destructors_can_send) override;
    void die() override;
    void cut(std::size_t connection) override;

private:
    void is_called(store_call const& call) override;
    void is_answered(store_call const& call) override;

    postgres_machine& server_;
    postgres_network* network_;
};

}  // namespace idempo::simulation
