// SPDX-License-Identifier: MIT
#pragma once

#include "support/http_client.hpp"
#include "support/postgres_server.hpp"
#include "support/redis_server.hpp"
#include "support/requests.hpp"
#include "support/server_process.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace idempo::tests {

inline constexpr char const* orders_secret = "the secret of the tests";

/// The body of an order.
[[nodiscard]] std::string order_of(int amount, std::string_view user = "ada");

/// The fields that sign an order for now: the time, and the HMAC-SHA-256 over it, the key as it is sent, and the body.
[[nodiscard]] field_list signature_of(std::string_view key, std::string_view body,
                                      std::string_view secret = orders_secret);

/// A signed `POST /orders`; an empty key: without one.
[[nodiscard]] text_request make_order(std::string_view key, std::string const& body = order_of(2));

/// The path of orders_server.
[[nodiscard]] std::string orders_program();

/// The Redis and the PostgreSQL of an orders_server, both of the test's own, with the tables made.
struct orders_stores {
    /// Redis with an append-only file, which survives restarts.
    orders_stores();

    /// The command line for them, with a limit that no test reaches unless it sets its own.
    [[nodiscard]] std::vector<std::string> flags(std::vector<std::string> more = {}) const;

    [[nodiscard]] std::string database_url() const {
        return "postgresql://idempo@/postgres?host=" + database.directory();
    }
    [[nodiscard]] std::size_t orders() const;

    postgres_server database;
    redis_server redis{{"--appendonly", "yes", "--appendfsync", "always"}};
};

/// A running orders_server and a client that is connected to it.
struct orders_scene {
    explicit orders_scene(orders_stores const& stores, std::vector<std::string> more = {});

    server_process server;
    http_client client;
};

/// A client of `GET /events`.
class event_stream {
public:
    explicit event_stream(std::uint16_t port);

    /// Reads until all these texts have arrived. \throws boost::system::system_error if the server ends first
    void read_until(std::vector<std::string> const& texts);

    [[nodiscard]] std::string const& seen() const noexcept { return seen_; }

private:
    boost::asio::io_context context_;
    boost::asio::ip::tcp::socket socket_{context_};
    std::string seen_;
};

/// The two kinds of store, as words of a command line: the test runs once for each.
[[nodiscard]] std::vector<std::string> each_orders_mode();

/// For each server started from now on. Null: none.
void set_orders_secret(char const* secret);

}  // namespace idempo::tests
