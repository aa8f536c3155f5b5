// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/process_client.hpp"
#include "simulation/surroundings.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <cstddef>
#include <memory>

namespace idempo {

class postgres_store;

}  // namespace idempo

namespace idempo::simulation {

class postgres_machine;
class postgres_network;

/// A process's client of PostgreSQL: the library's own store, its threads as fibers, over a simulated libpq.
class postgres_client final : public process_client, public std::enable_shared_from_this<postgres_client> {
public:
    postgres_client(surroundings& world, postgres_machine& server, std::size_t process, asio::any_io_executor executor,
                    entry enter);
    ~postgres_client() override;

    void send(store_call call, answer_handler done) override;
    [[nodiscard]] asio::any_io_executor executor() const override { return executor_; }

    void end(bool destructors_can_send) override;
    void die() override;
    void cut(std::size_t connection) override;

private:
    template <class... Result>
    [[nodiscard]] auto told(store_call const& call, answer_handler done);
    void answer(store_call const& call, store_answer answer, answer_handler done);

    surroundings& world_;
    postgres_machine& server_;
    std::size_t process_;
    asio::any_io_executor executor_;
    postgres_network* network_;
    std::unique_ptr<postgres_store> store_;
};

}  // namespace idempo::simulation
