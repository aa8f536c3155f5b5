// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/postgres/fiber.hpp"
#include "simulation/postgres/link.hpp"
#include "simulation/process_client.hpp"
#include "simulation/surroundings.hpp"

#include <boost/asio/execution_context.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <libpq-fe.h>

/// \file
/// What the simulation has instead of libpq: `pg_conn` and `pg_result`, which libpq's header leaves to it, and those of
/// its functions that the store uses.

namespace idempo::simulation {

class postgres_machine;
class postgres_network;

/// A connection's end in its process.
class postgres_socket : public std::enable_shared_from_this<postgres_socket> {
public:
    using time_point = std::chrono::steady_clock::time_point;

    postgres_socket(postgres_network& network, std::shared_ptr<postgres_link> over);

    void listen();
    void send(postgres_message what) { link_->send_to_server(std::move(what)); }
    /// For a fiber: something has arrived, or it is closed. False at the deadline.
    [[nodiscard]] bool wait(time_point deadline);
    [[nodiscard]] bool has_arrived() const noexcept { return !arrived_.empty(); }
    [[nodiscard]] bool is_closed() const noexcept { return is_closed_; }
    [[nodiscard]] postgres_answer take();

    void close();
    void cut() { link_->cut(); }
    /// The process has ended.
    void drop();

private:
    void in_process(std::function<void(postgres_socket&)> what);

    postgres_network* network_;
    std::shared_ptr<postgres_link> link_;
    std::deque<postgres_answer> arrived_;
    bool is_closed_ = false;
    std::weak_ptr<fiber> waits_;
    std::uint64_t turn_ = 0;
};

}  // namespace idempo::simulation

struct pg_result {
    idempo::simulation::postgres_answer::part of;
    bool is_binary = false;
};

struct pg_conn {
    std::shared_ptr<idempo::simulation::postgres_socket> socket;
    int server_process = 0;
    /// Of the answer that is read.
    std::deque<pg_result> results{};
    bool expects_more = false;
};

namespace idempo::simulation {

/// The connections of one process.
class postgres_network : public asio::execution_context::service {
public:
    using time_point = std::chrono::steady_clock::time_point;

    inline static asio::execution_context::id id;

    explicit postgres_network(asio::execution_context& context) : service(context) {}

    void open(surroundings& world, postgres_machine& server, std::size_t process, process_client::entry enter);
    /// The process ends, and its connections with it.
    void end();
    /// One of the connections that there are.
    void cut(std::size_t number);

    /// For a fiber, which waits for it: null where nobody answers in time, or it is refused, and why.
    [[nodiscard]] pg_conn* connect(std::chrono::milliseconds share, std::atomic<bool> const& stop, std::string& why);
    void remove(postgres_socket const& closed);

    [[nodiscard]] bool is_over() const noexcept { return is_over_; }
    void enter(std::function<void()> what) { enter_(std::move(what)); }
    [[nodiscard]] fiber_room& fibers() { return asio::use_service<fiber_room>(context()); }

    /// That of the fiber that runs.
    [[nodiscard]] static postgres_network& of_running();

private:
    void shutdown() override { end(); }

    surroundings* world_ = nullptr;
    postgres_machine* server_ = nullptr;
    std::size_t process_ = 0;
    process_client::entry enter_;
    std::vector<std::shared_ptr<postgres_socket>> sockets_;
    bool is_over_ = false;
};

}  // namespace idempo::simulation
