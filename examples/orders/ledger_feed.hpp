// SPDX-License-Identifier: MIT
#pragma once

#include "orders/database.hpp"
#include "orders/metrics.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/beast/core/tcp_stream.hpp>

#include <chrono>
#include <cstddef>
#include <string>

/// `GET /events`: the latest orders and the counters, live, as server-sent events. It reads the table four times a
/// second, so that orders of other processes are visible, too, and only while somebody watches.
///
///     event: counters    {"executed":1,"replayed":2,"conflicts":0,"mismatches":0,"in_flight":0}
///     event: orders      [{"id":…},…], newest first
///     event: outage      {} while the database is down
///
/// https://html.spec.whatwg.org/multipage/server-sent-events.html
///
/// Only for the thread of the server.
class ledger_feed {
public:
    ledger_feed(database& orders, metrics const& measured) : orders_(orders), measured_(measured) {}

    [[nodiscard]] bool is_full() const noexcept;

    /// Sends until the connection ends or the feed is stopped.
    boost::asio::awaitable<void> send(boost::beast::tcp_stream* to);

    /// Ends all feeds soon.
    void stop() noexcept { is_stopped_ = true; }

private:
    boost::asio::awaitable<void> send_changes(boost::beast::tcp_stream* to);
    boost::asio::awaitable<void> look_at_orders();
    [[nodiscard]] std::string counters_event() const;

    database& orders_;
    metrics const& measured_;
    std::size_t watchers_ = 0;
    bool is_stopped_ = false;
    /// Read by one of the watchers for all of them.
    std::string orders_event_;
    std::chrono::steady_clock::time_point looked_at_{};
    bool is_looking_ = false;
};
