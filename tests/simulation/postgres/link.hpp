// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/link_direction.hpp"
#include "simulation/postgres/wire.hpp"
#include "simulation/surroundings.hpp"
#include "simulation/virtual_time.hpp"

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace idempo::simulation {

/// What a client sends: a script, or a statement with its parameters.
struct postgres_message {
    std::string text{};
    std::vector<std::string> parameters{};
    bool is_script = false;
};

/// What a server sends: the results of a message's statements, up to the first error.
struct postgres_answer {
    struct part {
        /// Empty where the statement has succeeded.
        std::string sqlstate{};
        std::vector<postgres_fields> rows{};
        bool is_table = false;
        std::string tag{};
    };
    std::vector<part> parts{};
    bool is_binary = false;
    /// No more follows; else the server closes the connection.
    bool is_whole = true;
};

/// A connection of a process to a PostgreSQL server, as TCP has it: messages arrive in their order, late, after a
/// silence, or never. Where it is cut, those that come first may still arrive.
class postgres_link : public std::enable_shared_from_this<postgres_link> {
public:
    postgres_link(surroundings& world, std::size_t process) : world_(world), process_(process) {}

    [[nodiscard]] std::size_t process() const noexcept { return process_; }

    /// \name The two ends. What an end is to be told comes as an event of the world; the end of the messages is told,
    /// too.
    /// @{
    std::function<void(postgres_message)> at_server;
    std::function<void()> client_closed;
    std::function<void(postgres_answer)> at_client;
    std::function<void()> server_closed;
    void send_to_server(postgres_message what);
    void send_to_client(postgres_answer what);
    /// What is under way from there still arrives, and what comes back is for nobody.
    void close_at_client();
    void close_at_server();
    /// @}

    void cut();

private:
    using direction = link_direction<std::function<void()>>;

    void send(direction& way, std::function<void()> arrival);
    [[nodiscard]] std::deque<std::function<void()>> some_of(direction& way);

    surroundings& world_;
    std::size_t process_;
    direction to_server_;
    direction to_client_;
    bool is_cut_ = false;
};

}  // namespace idempo::simulation
