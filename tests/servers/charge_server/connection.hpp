// SPDX-License-Identifier: MIT
#pragma once

#include "common/responses.hpp"
#include "servers/charge_server/connection_registry.hpp"
#include "servers/charge_server/limits.hpp"
#include "servers/charge_server/sessions.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>

#include <memory>
#include <optional>
#include <utility>

/// A connection of the asynchronous styles. Everything that happens to it happens on its executor.
struct connection {
    explicit connection(boost::asio::ip::tcp::socket socket) : stream(std::move(socket)) {}

    /// The parser for the next request, and a deadline to read it by.
    http::request_parser<http::string_body>& begin_request() {
        parser.emplace();
        parser->body_limit(limits::body);
        stream.expires_after(limits::read_time);
        reading = true;
        return *parser;
    }

    boost::beast::tcp_stream stream;
    boost::beast::flat_buffer buffer{limits::buffer};
    std::optional<http::request_parser<http::string_body>> parser;
    /// Waits for data from the client. Shutdown cuts short only this.
    bool reading = false;
    connection_registry::place place;
};

/// Null where the connection was refused.
[[nodiscard]] std::shared_ptr<connection> open_connection(session_setup& setup, boost::asio::ip::tcp::socket socket);
