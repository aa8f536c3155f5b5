// SPDX-License-Identifier: MIT
#include "support/fault_proxy.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <deque>
#include <future>
#include <limits>
#include <random>
#include <system_error>
#include <utility>
#include <vector>

#include <linux/filter.h>
#include <sys/socket.h>

namespace idempo::tests {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
/// TCP or a unix socket.
using server_protocol = asio::generic::stream_protocol;

constexpr auto everything = std::numeric_limits<std::size_t>::max();

/// The kernel drops packets for the socket before TCP sees them. That needs neither root nor a network of our own.
void set_packet_loss(int socket, bool loses) {
    ::sock_filter nothing_passes = BPF_STMT(BPF_RET | BPF_K, 0);
    ::sock_fprog const program{1, &nothing_passes};
    auto const order = loses ? SO_ATTACH_FILTER : SO_DETACH_FILTER;
    bool const obeyed = ::setsockopt(socket, SOL_SOCKET, order, &program, sizeof program) == 0;
    if (!obeyed && (loses || errno != ENOENT)) throw std::system_error(errno, std::generic_category(), "setsockopt");
}

}  // namespace

/// One direction of a connection: what has been read, and when it arrives.
struct lane {
    explicit lane(asio::io_context::executor_type executor) : wake(executor) {}

    struct piece {
        std::string bytes;
        std::chrono::steady_clock::time_point due;
    };
    std::deque<piece> under_way;
    std::size_t size = 0;
    std::chrono::steady_clock::time_point last_due{};
    asio::steady_timer wake;
};

/// Runs on one thread.
class fault_proxy::relay : public std::enable_shared_from_this<relay> {
public:
    relay(asio::io_context::executor_type executor, server_protocol::endpoint server, std::string const& address,
          std::uint16_t port)
        : executor_(executor),
          server_(std::move(server)),
          acceptor_(executor, {asio::ip::make_address(address), port}),
          port_(acceptor_.local_endpoint().port()),
          released_(executor, std::chrono::steady_clock::time_point::max()) {}

    void start() { asio::co_spawn(executor_, accept(shared_from_this()), asio::detached); }

    [[nodiscard]] std::uint16_t port() const { return port_; }
    [[nodiscard]] std::size_t connections() const { return connections_; }
    [[nodiscard]] std::size_t request_bytes() const { return request_bytes_; }
    [[nodiscard]] std::size_t reply_bytes() const { return reply_bytes_; }
    [[nodiscard]] std::size_t held_bytes() const { return held_bytes_; }

    /// Runs `order` on the proxy's thread, and returns when it has.
    template <class Order>
    void obey(Order order) {
        std::promise<void> obeyed;
        asio::post(executor_, [&] {
            order();
            obeyed.set_value();
        });
        obeyed.get_future().wait();
    }

    std::size_t allowance = everything;
    bool holds = false;
    bool trickles = false;
    std::chrono::microseconds one_way{0};
    std::chrono::microseconds jitter{0};
    std::size_t bytes_per_second = everything;
    std::function<void(std::string&)> change;

    void wake() { released_.cancel(); }

    std::size_t set_packet_loss_everywhere(bool loses) {
        set_packet_loss(acceptor_.native_handle(), loses);
        return for_each_pair([loses](pair& both) { set_packet_loss(both.client.native_handle(), loses); });
    }

    std::size_t cut() {
        return for_each_pair([](pair& both) { both.close(); });
    }

private:
    struct pair {
        explicit pair(asio::io_context::executor_type executor)
            : client(executor),
              server(executor),
              requests(executor),
              replies(executor) {}
        void close() {
            boost::system::error_code ignored;
            client.close(ignored);
            server.close(ignored);
            requests.wake.cancel();
            replies.wake.cancel();
        }
        tcp::socket client;
        server_protocol::socket server;
        lane requests;
        lane replies;
    };
    using shared_pair = std::shared_ptr<pair>;

    template <class Order>
    std::size_t for_each_pair(Order order) {
        std::size_t count = 0;
        for (auto const& each : pairs_) {
            auto const both = each.lock();
            if (!both || !both->client.is_open()) continue;
            order(*both);
            ++count;
        }
        return count;
    }

    static asio::awaitable<void> accept(std::shared_ptr<relay> self) {
        while (true) {
            auto both = std::make_shared<pair>(self->executor_);
            co_await self->acceptor_.async_accept(both->client, asio::use_awaitable);
            ++self->connections_;
            self->pairs_.push_back(both);
            asio::co_spawn(self->executor_, serve(self, both), asio::detached);
        }
    }

    static asio::awaitable<void> serve(std::shared_ptr<relay> self, shared_pair both) {
        try {
            co_await both->server.async_connect(self->server_, asio::use_awaitable);
            both->client.set_option(tcp::no_delay(true));
            if (self->server_.protocol().family() != AF_UNIX) both->server.set_option(tcp::no_delay(true));
        } catch (boost::system::system_error const&) {
            both->close();
            co_return;
        }
        auto& [client, server, requests, replies] = *both;
        asio::co_spawn(self->executor_, collect(self, both, client, requests), asio::detached);
        asio::co_spawn(self->executor_, collect(self, both, server, replies), asio::detached);
        asio::co_spawn(self->executor_, deliver(self, both, requests), asio::detached);
        asio::co_spawn(self->executor_, deliver(self, both, replies), asio::detached);
    }

    /// Reads what one side sends, and says when it arrives.
    template <class Socket>
    static asio::awaitable<void> collect(std::shared_ptr<relay> self, shared_pair both, Socket& from, lane& to) {
        constexpr std::size_t max_under_way = std::size_t{256} * 1024;
        try {
            std::array<char, 16384> bytes{};
            while (true) {
                auto const size = co_await from.async_read_some(asio::buffer(bytes), asio::use_awaitable);
                to.last_due = std::max(to.last_due, self->arrival(to, size));
                to.under_way.push_back({std::string(bytes.data(), size), to.last_due});
                to.size += size;
                to.wake.cancel();
                while (to.size > max_under_way && self->bytes_per_second != everything) {
                    asio::steady_timer pause(self->executor_, std::chrono::milliseconds(1));
                    co_await pause.async_wait(asio::use_awaitable);
                }
            }
        } catch (boost::system::system_error const&) {
            both->close();
        }
    }

    std::chrono::steady_clock::time_point arrival(lane const& to, std::size_t size) {
        auto const now = std::chrono::steady_clock::now();
        auto due = now + one_way;
        if (jitter.count() > 0) {
            due += std::chrono::microseconds(std::uniform_int_distribution<long>(0, jitter.count() / 2)(random_));
        }
        if (bytes_per_second == everything) return due;
        auto const span = std::chrono::nanoseconds(1'000'000'000ULL * size / bytes_per_second);
        return std::max(due, std::max(to.last_due, now) + span);
    }

    static asio::awaitable<void> deliver(std::shared_ptr<relay> self, shared_pair both, lane& from) {
        try {
            while (both->client.is_open()) {
                bool const is_empty = from.under_way.empty();
                auto const due = is_empty ? std::chrono::steady_clock::time_point::max() : from.under_way.front().due;
                if (is_empty || due > std::chrono::steady_clock::now()) {
                    boost::system::error_code woken;
                    from.wake.expires_at(due);
                    co_await from.wake.async_wait(asio::redirect_error(asio::use_awaitable, woken));
                    continue;
                }
                auto piece = std::move(from.under_way.front().bytes);
                from.under_way.pop_front();
                from.size -= piece.size();
                if (&from == &both->requests) {
                    self->request_bytes_ += piece.size();
                    co_await asio::async_write(both->server, asio::buffer(piece), asio::use_awaitable);
                } else {
                    if (self->change) self->change(piece);
                    co_await self->carry_reply(*both, std::move(piece));
                }
            }
        } catch (boost::system::system_error const&) {
            both->close();
        }
    }

    asio::awaitable<void> carry_reply(pair& both, std::string piece) {
        held_bytes_ += piece.size();
        while (holds) {
            boost::system::error_code woken;
            co_await released_.async_wait(asio::redirect_error(asio::use_awaitable, woken));
        }
        held_bytes_ -= piece.size();
        bool const is_last = piece.size() >= allowance;
        if (is_last) piece.resize(allowance);
        if (allowance != everything) allowance -= piece.size();
        reply_bytes_ += piece.size();
        std::size_t const step = trickles ? 1 : std::max<std::size_t>(piece.size(), 1);
        for (std::size_t at = 0; at < piece.size(); at += step) {
            co_await asio::async_write(both.client, asio::buffer(piece.data() + at, std::min(step, piece.size() - at)),
                                       asio::use_awaitable);
        }
        if (is_last) throw boost::system::system_error(asio::error::connection_reset);
    }

    asio::io_context::executor_type executor_;
    server_protocol::endpoint server_;
    tcp::acceptor acceptor_;
    std::uint16_t port_;
    asio::steady_timer released_;
    std::atomic<std::size_t> connections_{0};
    std::atomic<std::size_t> request_bytes_{0};
    std::atomic<std::size_t> reply_bytes_{0};
    std::atomic<std::size_t> held_bytes_{0};
    std::vector<std::weak_ptr<pair>> pairs_;
    std::minstd_rand random_{std::random_device{}()};
};

fault_proxy::fault_proxy(std::uint16_t server_port, std::string const& address, std::uint16_t port)
    : thread_(std::make_unique<detail::background_thread>()),
      relay_(std::make_shared<relay>(thread_->get_executor(),
                                     tcp::endpoint(asio::ip::address_v4::loopback(), server_port), address, port)) {
    relay_->start();
}

fault_proxy::fault_proxy(std::string const& unix_path)
    : thread_(std::make_unique<detail::background_thread>()),
      relay_(std::make_shared<relay>(thread_->get_executor(), asio::local::stream_protocol::endpoint(unix_path),
                                     "127.0.0.1", 0)) {
    relay_->start();
}

fault_proxy::~fault_proxy() = default;

std::uint16_t fault_proxy::port() const { return relay_->port(); }
std::size_t fault_proxy::connections() const { return relay_->connections(); }

std::size_t fault_proxy::request_bytes() const { return relay_->request_bytes(); }
std::size_t fault_proxy::reply_bytes() const { return relay_->reply_bytes(); }
std::size_t fault_proxy::held_bytes() const { return relay_->held_bytes(); }

void fault_proxy::delay(std::chrono::microseconds round_trip, std::chrono::microseconds jitter) {
    relay_->obey([&] {
        relay_->one_way = round_trip / 2;
        relay_->jitter = jitter;
    });
}

void fault_proxy::throttle(std::size_t bytes_per_second) {
    relay_->obey([&] { relay_->bytes_per_second = bytes_per_second; });
}

std::size_t fault_proxy::cut() {
    std::size_t closed = 0;
    relay_->obey([&] { closed = relay_->cut(); });
    return closed;
}

void fault_proxy::cut_after(std::size_t bytes) {
    relay_->obey([&] { relay_->allowance = bytes; });
}

void fault_proxy::hold() {
    relay_->obey([&] { relay_->holds = true; });
}

void fault_proxy::release() {
    relay_->obey([&] {
        relay_->holds = false;
        relay_->wake();
    });
}

void fault_proxy::trickle() {
    relay_->obey([&] { relay_->trickles = true; });
}

std::size_t fault_proxy::lose_packets() {
    std::size_t half_open = 0;
    relay_->obey([&] { half_open = relay_->set_packet_loss_everywhere(true); });
    return half_open;
}

void fault_proxy::deliver_packets() {
    relay_->obey([&] { relay_->set_packet_loss_everywhere(false); });
}

void fault_proxy::rewrite(std::function<void(std::string&)> change) {
    relay_->obey([&] { relay_->change = std::move(change); });
}

}  // namespace idempo::tests
