// SPDX-License-Identifier: MIT
#include "orders/ledger_feed.hpp"

#include "orders/limits.hpp"
#include "orders/orders_table.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/error_code.hpp>

#include <nlohmann/json.hpp>

#include <pqxx/nontransaction>

#include <string_view>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using boost::system::error_code;
using clock_type = std::chrono::steady_clock;

namespace {

constexpr std::chrono::milliseconds interval{250};
/// Proxies consider a connection dead after so long without data.
constexpr std::chrono::seconds longest_silence{15};
constexpr int shown_orders = 20;

// The end of the connection ends the response: no length, and no chunks, for HTTP/1.0 proxies.
constexpr std::string_view head = "HTTP/1.1 200 OK\r\n"
                                  "Content-Type: text/event-stream\r\n"
                                  "Cache-Control: no-store\r\n"
                                  "X-Accel-Buffering: no\r\n"
                                  "Connection: close\r\n\r\n";

std::string make_event(std::string_view name, std::string const& data) {
    return "event: " + std::string(name) + "\ndata: " + data + "\n\n";
}

std::string make_orders_event(std::vector<order> const& latest) {
    auto all = nlohmann::ordered_json::array();
    for (auto const& each : latest) all.push_back(to_json(each));
    return make_event("orders", all.dump());
}

/// The query, for the threads of the database.
std::vector<order> read_latest(pqxx::connection& connection) {
    pqxx::nontransaction autocommit(connection);
    return latest_orders(autocommit, shown_orders);
}

/// Counts the watchers, however they end.
class place {
public:
    explicit place(std::size_t& taken) : taken_(taken) { ++taken_; }
    place(place const&) = delete;
    place& operator=(place const&) = delete;
    ~place() { --taken_; }

private:
    std::size_t& taken_;
};

asio::awaitable<error_code> write(boost::beast::tcp_stream* to, std::string_view bytes) {
    error_code error;
    to->expires_after(limits::write_time);
    co_await asio::async_write(*to, asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, error));
    co_return error;
}

}  // namespace

bool ledger_feed::is_full() const noexcept { return watchers_ >= limits::watchers; }

asio::awaitable<void> ledger_feed::send(boost::beast::tcp_stream* to) {
    place const taken(watchers_);
    error_code const error = co_await write(to, head);
    if (!error) co_await send_changes(to);
}

asio::awaitable<void> ledger_feed::send_changes(boost::beast::tcp_stream* to) {
    asio::steady_timer pause(co_await asio::this_coro::executor);
    std::string orders;
    std::string counters;
    auto last_word = clock_type::now();
    while (!is_stopped_) {
        co_await look_at_orders();
        std::string news;
        if (auto now = counters_event(); now != counters) news += counters = std::move(now);
        if (orders_event_ != orders) news += orders = orders_event_;
        if (news.empty() && clock_type::now() - last_word > longest_silence) news = ": still here\n\n";
        if (!news.empty()) {
            error_code const error = co_await write(to, news);
            if (error) co_return;
            last_word = clock_type::now();
        }
        pause.expires_after(interval);
        co_await pause.async_wait(asio::use_awaitable);
    }
}

asio::awaitable<void> ledger_feed::look_at_orders() {
    if (is_looking_ || clock_type::now() - looked_at_ < interval / 2) co_return;
    is_looking_ = true;
    try {
        auto const latest = co_await orders_.run(&read_latest);
        orders_event_ = make_orders_event(latest);
    } catch (std::exception const&) {
        orders_event_ = make_event("outage", "{}");
    }
    looked_at_ = clock_type::now();
    is_looking_ = false;
}

std::string ledger_feed::counters_event() const {
    auto const now = measured_.read();
    nlohmann::ordered_json const data{{"executed", now.executed},
                                      {"replayed", now.replayed},
                                      {"conflicts", now.conflicts},
                                      {"mismatches", now.mismatches},
                                      {"in_flight", now.in_flight}};
    return make_event("counters", data.dump());
}
