// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/process_client.hpp"
#include "simulation/redis/link.hpp"
#include "simulation/surroundings.hpp"

#include <idempo/redis/connection/transport.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/execution_context.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace idempo::simulation {

class redis_machine;
class virtual_socket;

/// The way of a process to the Redis server: a service of its execution context, where the library's transports find
/// it. What waits for bytes ends with that context.
class redis_network : public boost::asio::execution_context::service {
public:
    inline static boost::asio::execution_context::id id;

    explicit redis_network(boost::asio::execution_context& context) : service(context) {}

    void open(surroundings& world, redis_machine& server, std::size_t process, process_client::entry enter);

    void add(std::shared_ptr<virtual_socket> const& made) { sockets_.push_back(made); }
    void remove(virtual_socket const& closed);
    /// The process ends, and its connections with it.
    void end();
    /// One of the connections that there are.
    void cut(std::size_t number);

    [[nodiscard]] bool is_over() const noexcept { return is_over_; }
    [[nodiscard]] surroundings& world() noexcept { return *world_; }
    [[nodiscard]] redis_machine& server() noexcept { return *server_; }
    [[nodiscard]] std::size_t process() const noexcept { return process_; }
    void enter(std::function<void()> what) { enter_(std::move(what)); }

private:
    void shutdown() override;

    surroundings* world_ = nullptr;
    redis_machine* server_ = nullptr;
    std::size_t process_ = 0;
    process_client::entry enter_;
    std::vector<std::shared_ptr<virtual_socket>> sockets_;
    bool is_over_ = false;
};

/// What a transport of the library has instead of a socket.
class virtual_socket : public std::enable_shared_from_this<virtual_socket> {
public:
    using on_connected = redis::transport::on_connected;
    using on_transferred = redis::transport::on_transferred;

    virtual_socket(redis_network& network, redis::strand executor)
        : network_(network),
          executor_(std::move(executor)) {}

    void connect(on_connected done);
    void read(boost::asio::mutable_buffer to, on_transferred done);
    void write(std::string_view bytes, on_transferred done);
    [[nodiscard]] std::size_t write_some_now(std::string_view bytes);
    void close();
    void cut();
    /// Nobody is told any more.
    void drop();

private:
    void connected();
    void receive(std::string const& bytes);
    void finish_read();
    void complete(on_transferred done, error_code error, std::size_t size);
    void in_process(void (virtual_socket::*what)());

    redis_network& network_;
    redis::strand executor_;
    std::shared_ptr<redis_link> link_;
    on_connected connecting_;
    on_transferred reading_;
    boost::asio::mutable_buffer to_;
    std::string received_;
    bool is_closed_ = false;
    bool is_ended_ = false;
};

}  // namespace idempo::simulation
