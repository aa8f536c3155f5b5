// SPDX-License-Identifier: MIT
#pragma once

#include "common/responses.hpp"
#include "orders/database.hpp"
#include "orders/flags.hpp"
#include "orders/metrics.hpp"

#include <idempo/problem.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/beast/http/message_generator.hpp>

#include <functional>
#include <string>

/// The handler of `POST /orders`. The peer is the other end of the connection; its port does not matter.
using order_endpoint =
    std::function<boost::asio::awaitable<http::message_generator>(http_request, boost::asio::ip::address const& peer)>;

/// The parts of the layers; outlives the endpoint.
struct stack_parts {
    boost::asio::any_io_executor executor;
    orders_flags const& flags;
    std::string secret;
    idempo::problem_table const& problems;
    database& orders;
    metrics& measured;
};

/// `hmac_auth | rate_limit | idempotency | handler`; README.md explains the order.
/// \throws std::invalid_argument if the flags are invalid
[[nodiscard]] order_endpoint make_order_endpoint(stack_parts const& parts);
