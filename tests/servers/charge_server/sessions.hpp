// SPDX-License-Identifier: MIT
#pragma once

#include "common/charge_service.hpp"
#include "servers/charge_server/connection_registry.hpp"
#include "servers/charge_server/flags.hpp"

#include <idempo/http/outgoing.hpp>
#include <idempo/http/read_request.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/http/message_generator.hpp>

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

/// What the sessions of every style need. All of it outlives them.
struct session_setup {
    explicit session_setup(server_flags const& written)
        : flags(written),
          service(written.metrics),
          registry(written.max_connections),
          protected_fields(written.protected_fields.begin(), written.protected_fields.end()) {}

    [[nodiscard]] idempo::read_options reading() const noexcept {
        return {.also_protected = protected_fields, .answer_expect = true};
    }

    /// The last answer of a connection says so, while the server stops.
    [[nodiscard]] http::message_generator last_touch(http::message_generator answer) const {
        if (!registry.stopping()) return answer;
        return idempo::with_connection_close(std::move(answer));
    }

    server_flags const& flags;
    charge_service service;
    connection_registry registry;
    std::vector<std::string_view> protected_fields;
};

/// Serves connections in one style.
class sessions {
public:
    sessions() = default;
    sessions(sessions const&) = delete;
    sessions& operator=(sessions const&) = delete;
    virtual ~sessions() = default;

    /// Serves the connection until it ends, or refuses it. Returns at once. The socket's executor runs
    /// one callback at a time.
    virtual void start(boost::asio::ip::tcp::socket socket) = 0;
};

/// \name One for each style
/// \throws std::invalid_argument if the store's URL is invalid.
/// @{
std::unique_ptr<sessions> make_sync_sessions(session_setup& setup);
std::unique_ptr<sessions> make_callback_sessions(session_setup& setup, boost::asio::io_context& context);
std::unique_ptr<sessions> make_awaitable_sessions(session_setup& setup, boost::asio::io_context& context);
/// @}
