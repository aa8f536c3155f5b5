// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/link_direction.hpp"
#include "simulation/redis/command_reader.hpp"
#include "simulation/surroundings.hpp"
#include "simulation/virtual_time.hpp"

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>

namespace idempo::simulation {

/// A connection of a process to a Redis server, as TCP has it: in each direction bytes arrive in their order, in other
/// pieces than they were sent in, and late. It may be silent for a while, or for good, and be cut at any byte.
class redis_link : public std::enable_shared_from_this<redis_link> {
public:
    using on_bytes = std::function<void(redis_link& from, std::string const& bytes)>;
    using on_closed = std::function<void(redis_link& from)>;

    redis_link(surroundings& world, std::size_t process) : world_(world), process_(process) {}

    [[nodiscard]] std::size_t process() const noexcept { return process_; }
    [[nodiscard]] bool is_cut() const noexcept { return is_cut_; }

    /// \name The two ends. What an end is to be told comes as an event of the world.
    /// @{
    void at_server(on_bytes receive) { at_server_ = std::move(receive); }
    void at_client(on_bytes receive, on_closed closed);
    void send_to_server(std::string bytes);
    void send_to_client(std::string bytes);
    /// The client has closed it: what is under way to the server still arrives, and what comes back is for nobody.
    void close();
    /// @}

    /// Of what is under way in each direction, some bytes still arrive. The client notices after a while.
    void cut();

    /// \name For the server
    /// @{
    redis_command_reader commands;
    /// It waits for replicas, and answers nothing else.
    bool is_waiting = false;
    /// When the replica has the last thing that was written for it.
    time_point replicated_at{};
    /// Of the server's lives.
    unsigned life = 0;
    /// @}

private:
    using direction = link_direction<std::string>;

    void send(direction& way, std::string bytes, on_bytes const& receive);
    void arrive(direction& way, on_bytes const& receive);
    [[nodiscard]] static std::string some_of(direction& way, random_source& random);

    surroundings& world_;
    std::size_t process_;
    on_bytes at_server_;
    on_bytes at_client_;
    on_closed closed_;
    direction to_server_;
    direction to_client_;
    bool is_cut_ = false;
};

}  // namespace idempo::simulation
