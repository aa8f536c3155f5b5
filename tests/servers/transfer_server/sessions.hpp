// SPDX-License-Identifier: MIT
#pragma once

#include "servers/transfer_server/transfers.hpp"

#include <idempo/postgres/transaction/transactional.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/tcp_stream.hpp>

#include <cstddef>
#include <list>
#include <utility>

using transfer_handler = idempo::transactional_middleware<transfers>;

/// The connections, each served by a coroutine of its own. All of it on the one thread that runs the context.
class sessions {
public:
    explicit sessions(transfer_handler handle) : handle_(std::move(handle)) {}

    /// Accepts connections until `stop`.
    boost::asio::awaitable<void> accept(boost::asio::ip::tcp::acceptor* acceptor);

    /// Ends the waits for next requests. Responses in progress are still sent.
    void stop();

    /// The number of connections.
    [[nodiscard]] std::size_t count() const noexcept { return open_.size(); }

private:
    struct client {
        explicit client(boost::asio::ip::tcp::socket socket) : stream(std::move(socket)) {}

        boost::beast::tcp_stream stream;
        bool is_reading = false;
    };
    using place = std::list<client>::iterator;

    boost::asio::awaitable<void> serve(place connected);
    boost::asio::awaitable<void> answer_requests(client* connected);

    transfer_handler handle_;
    std::list<client> open_;
    bool is_stopping_ = false;
};
