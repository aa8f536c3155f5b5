// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/library_client.hpp"
#include "simulation/surroundings.hpp"

#include <idempo/redis/store.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <cstddef>

namespace idempo::simulation {

class redis_machine;
class redis_network;

/// A process's client of Redis: the library's own store, over a simulated network.
class redis_client final : public library_client<redis_store> {
public:
    redis_client(surroundings& world, redis_machine& server, std::size_t process, asio::any_io_executor executor,
                 entry enter);

    void end(bool destructors_can_send) override;
    void die() override {}
    void cut(std::size_t connection) override;

private:
    redis_network* network_;
};

}  // namespace idempo::simulation
