// SPDX-License-Identifier: MIT
#pragma once

#include "common/responses.hpp"
#include "orders/database.hpp"
#include "orders/metrics.hpp"
#include "orders/stack.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/beast/http/message_generator.hpp>

#include <string>
#include <string_view>

/// The routes of the service:
///
///     POST /orders           through all layers
///     GET  /orders?limit=10  newest first
///     GET  /orders/{id}
///     GET  /                 the page, with /page.js, /style.css and /icon.svg
///     GET  /metrics          for Prometheus
///     GET  /healthz
///
/// and `GET /events`, which ledger_feed.hpp answers, since its response does not end.
class routes {
public:
    routes(order_endpoint place_order, database& orders, metrics const& measured)
        : place_order_(std::move(place_order)),
          orders_(orders),
          measured_(measured) {}

    /// Throws only if memory runs out.
    boost::asio::awaitable<http::message_generator> answer(http_request request, boost::asio::ip::address peer) const;

    /// The target with `{id}` in place of an id, so that logs and metrics have few of them.
    [[nodiscard]] static std::string_view route_of(std::string_view target) noexcept;

private:
    boost::asio::awaitable<http_response> read_orders(http_request const* request) const;
    [[nodiscard]] http_response answer_at_once(http_request const& request) const;

    order_endpoint place_order_;
    database& orders_;
    metrics const& measured_;
};
