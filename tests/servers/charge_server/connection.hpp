// SPDX-License-Identifier: MIT
#pragma once

#include "common/responses.hpp"
#include "servers/charge_server/connection_registry.hpp"
#include "servers/charge_server/deadline_stream.hpp"
#include "servers/charge_server/limits.hpp"
#include "servers/charge_server/refusals.hpp"
#include "servers/charge_server/sessions.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/system/error_code.hpp>

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

/// A connection of the asynchronous styles. Everything that happens to it happens on its executor.
template <class Executor>
struct basic_connection {
    explicit basic_connection(boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor> socket)
        : stream(std::move(socket)) {}

    /// The parser for the next request, and a deadline to read it by.
    http::request_parser<http::string_body>& begin_request() {
        parser.emplace();
        parser->body_limit(limits::body);
        stream.expires_after(limits::read_time);
        reading = true;
        return *parser;
    }

    deadline_stream<Executor> stream;
    boost::beast::flat_buffer buffer{limits::buffer};
    std::optional<http::request_parser<http::string_body>> parser;
    /// Waits for data from the client. Shutdown cuts short only this.
    bool reading = false;
    connection_registry::place place;
};

/// The executor of connections where one thread runs the context. They need no strand, and Asio asks no table of
/// functions for what it does, since the type is known.
using event_loop = boost::asio::io_context::executor_type;

/// The socket, with the type of its executor known. Nothing where it has failed.
/// \pre that is the type
template <class Executor>
std::optional<boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>>
with_executor(boost::asio::ip::tcp::socket socket) {
    if constexpr (std::is_same_v<Executor, boost::asio::any_io_executor>) {
        return socket;
    } else {
        auto const* const executor = socket.get_executor().template target<Executor>();
        boost::system::error_code error;
        auto const protocol = socket.local_endpoint(error).protocol();
        if (error) return std::nullopt;
        auto const handle = socket.release(error);
        if (error) return std::nullopt;
        return boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>(*executor, protocol, handle);
    }
}

template <class Executor>
connection_registry::stop_function stop_reading(std::shared_ptr<basic_connection<Executor>> const& opened) {
    return [executor = opened->stream.get_executor(), weak = std::weak_ptr(opened)] {
        boost::asio::post(executor, [weak] {
            auto const living = weak.lock();
            if (living && living->reading) living->stream.cancel();
        });
    };
}

/// Null where the connection was refused, or has ended already.
template <class Executor>
[[nodiscard]] std::shared_ptr<basic_connection<Executor>> open_connection(session_setup& setup,
                                                                          boost::asio::ip::tcp::socket accepted) {
    auto socket = with_executor<Executor>(std::move(accepted));
    if (!socket) return nullptr;
    auto opened = std::make_shared<basic_connection<Executor>>(*std::move(socket));
    opened->place = setup.registry.enter(stop_reading(opened));
    if (opened->place) return opened;
    refuse_connection(opened->stream.release_socket());
    return nullptr;
}
