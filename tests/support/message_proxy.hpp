// SPDX-License-Identifier: MIT
#pragma once

#include "support/postgres_server.hpp"

#include <cstddef>
#include <memory>
#include <string>

namespace idempo::tests {

/// Where a connection to PostgreSQL is cut: at one of the messages that its protocol consists of.
/// https://www.postgresql.org/docs/current/protocol-message-formats.html
enum class message_cut {
    /// The server does not receive that message of the client's.
    before,
    /// It does, and the client receives nothing any more.
    after,
    /// It does, with all that was sent at the same time, when the client has been cut off for a while.
    late,
};

/// A network between a client and a PostgreSQL server that is cut once, at a chosen message of the client's.
class message_proxy {
public:
    explicit message_proxy(postgres_server const& server);
    message_proxy(message_proxy const&) = delete;
    message_proxy& operator=(message_proxy const&) = delete;
    ~message_proxy();

    /// A libpq connection string.
    [[nodiscard]] std::string connection() const;

    /// Cuts once, at the message with this number of those that all clients will send from now on, 0 being the next.
    void cut_at(std::size_t number, message_cut how);

    /// Whether it has done so.
    [[nodiscard]] bool has_cut() const;

    /// The kind of the message at which it has, as the protocol writes it.
    [[nodiscard]] char kind() const;

    /// As a firewall does with connections that have been idle: what they carry from now on is lost without a word,
    /// their ends too. Those that are made later are served.
    void forget_connections();

    /// How many messages of a kind clients have sent so far.
    [[nodiscard]] int messages(char kind) const;

    /// What was to be delivered late has been.
    [[nodiscard]] bool is_quiet() const;

private:
    class network;
    std::shared_ptr<network> network_;
};

}  // namespace idempo::tests
