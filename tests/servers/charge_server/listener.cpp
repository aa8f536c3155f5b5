// SPDX-License-Identifier: MIT
#include "servers/charge_server/listener.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>

#include <chrono>
#include <utility>

using boost::asio::ip::tcp;
using boost::system::error_code;

listener::listener(boost::asio::io_context& context, unsigned threads, tcp::endpoint const& endpoint,
                   sessions& sessions)
    : context_(context),
      needs_strands_(threads > 1),
      acceptor_(serial_executor(), endpoint),
      pause_(acceptor_.get_executor()),
      sessions_(sessions) {}

void listener::stop() {
    boost::asio::post(acceptor_.get_executor(), [this] {
        error_code ignored;
        acceptor_.close(ignored);
        pause_.cancel();
    });
}

void listener::accept() {
    acceptor_.async_accept(serial_executor(),
                           [this](error_code error, tcp::socket socket) { accepted(error, std::move(socket)); });
}

void listener::accepted(error_code error, tcp::socket socket) {
    if (!acceptor_.is_open()) return;
    if (error) return accept_later();
    error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    sessions_.start(std::move(socket));
    accept();
}

/// Without file descriptors, trying again at once is useless.
void listener::accept_later() {
    pause_.expires_after(std::chrono::milliseconds(50));
    pause_.async_wait([this](error_code) {
        if (acceptor_.is_open()) accept();
    });
}

boost::asio::any_io_executor listener::serial_executor() {
    if (needs_strands_) return boost::asio::make_strand(context_);
    return context_.get_executor();
}
