// SPDX-License-Identifier: MIT
#pragma once

#include "servers/charge_server/sessions.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>

/// Accepts connections and hands them to the sessions. Outlives the run of the context.
class listener {
public:
    /// \param threads that run the context: with one, connections need no strands
    /// \throws boost::system::system_error if the port is in use, say.
    listener(boost::asio::io_context& context, unsigned threads, boost::asio::ip::tcp::endpoint const& endpoint,
             sessions& sessions);

    void start() { accept(); }
    void stop();

    [[nodiscard]] boost::asio::ip::tcp::endpoint local_endpoint() const { return acceptor_.local_endpoint(); }

private:
    void accept();
    void accepted(boost::system::error_code error, boost::asio::ip::tcp::socket socket);
    void accept_later();
    [[nodiscard]] boost::asio::any_io_executor serial_executor();

    boost::asio::io_context& context_;
    bool const needs_strands_;
    boost::asio::ip::tcp::acceptor acceptor_;
    boost::asio::steady_timer pause_;
    sessions& sessions_;
};
