// SPDX-License-Identifier: MIT
#pragma once

#include "orders/ledger_feed.hpp"
#include "orders/metrics.hpp"
#include "orders/routes.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>

#include <cstddef>
#include <memory>
#include <set>

/// A coroutine for each connection. Only for the thread of the server.
class sessions {
public:
    sessions(routes const& routes, ledger_feed& feed, metrics& measured)
        : routes_(routes),
          feed_(feed),
          measured_(measured) {}

    /// Accepts connections until the acceptor is closed.
    boost::asio::awaitable<void> accept(boost::asio::ip::tcp::acceptor* acceptor);

    /// Ends the waits for next requests. Requests in progress still get their responses.
    void stop();
    [[nodiscard]] std::size_t open() const noexcept { return open_.size(); }

private:
    struct connection;

    boost::asio::awaitable<void> serve(std::shared_ptr<connection> client);
    boost::asio::awaitable<bool> serve_request(connection* client);
    boost::asio::awaitable<void> refuse(connection* client, boost::system::error_code error,
                                        http_request const* request);
    boost::asio::awaitable<bool> send(connection* client, http::message_generator answer);

    routes const& routes_;
    ledger_feed& feed_;
    metrics& measured_;
    std::set<connection*> open_;
    bool is_stopping_ = false;
};
