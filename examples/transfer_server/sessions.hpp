#pragma once

#include "transfer_server/transfers.hpp"

#include <idempo/transactional.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

using transfer_handler = idempo::transactional_middleware<transfers>;

/// Accepts connections, and serves each in a coroutine of its own, until the context stops.
boost::asio::awaitable<void> serve(boost::asio::ip::tcp::acceptor* acceptor, transfer_handler handle);
