// SPDX-License-Identifier: MIT
#pragma once

#include "servers/charge_server/sessions.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>

/// Accepts connections and hands them to the sessions. Outlives the run of the context.
class listener {
public:
    /// \throws boost::system::system_error if the port is in use, say.
    listener(boost::asio::io_context& context, boost::asio::ip::tcp::endpoint const& endpoint, sessions& sessions);

    void start() { accept(); }
    void stop();

    [[nodiscard]] boost::asio::ip::tcp::endpoint local_endpoint() const { return acceptor_.local_endpoint(); }

private:
    void accept();
    void accepted(boost::system::error_code error, boost::asio::ip::tcp::socket socket);
    void accept_later();

    boost::asio::io_context& context_;
    boost::asio::ip::tcp::acceptor acceptor_;
    boost::asio::steady_timer pause_;
    sessions& sessions_;
};
