// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/fault_proxy.hpp"
#include "support/redis_server.hpp"
#include "support/store_scene.hpp"

#include <idempo/redis/connection/connection.hpp>
#include <idempo/redis/operations/operations.hpp>

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <variant>

using namespace idempo::tests;
using namespace idempo;
namespace asio = boost::asio;

// A name with several addresses, one of which says nothing.

namespace {

/// One name with two addresses, each with the same server behind it, and a connection to it.
class two_addresses {
public:
    two_addresses() : first(server.port(), "127.0.0.2"), second(server.port(), "127.0.0.3", first.port()) {
        auto setup = std::make_shared<redis::connection_setup>();
        setup->options.operation_timeout = 3s;
        setup->options.connect_timeout = 1500ms;
        setup->names = std::make_shared<redis::name_resolver>([](std::string const&, error_code&) {
            return redis::ip_addresses{asio::ip::make_address("127.0.0.2"), asio::ip::make_address("127.0.0.3")};
        });
        redis_endpoint const endpoint{"redis.example", first.port()};
        connection_ = std::make_shared<redis::connection>(context_.get_executor(), setup,
                                                          std::make_shared<redis::fixed_resolver>(endpoint));
        connection_->start();
    }

    /// The error of a claim, of a new key each time.
    error_code claim() {
        error_code result;
        bool is_answered = false;
        connection_->submit(std::make_unique<redis::claim_operation>(claim_of(numbered_key(++number_)), "p",
                                                                     context_.get_executor(),
                                                                     [&](error_code error, claim_result const&) {
                                                                         result = error;
                                                                         is_answered = true;
                                                                     }));
        while (!is_answered) context_.run_one();
        return result;
    }

    redis_server server;
    fault_proxy first;
    fault_proxy second;

private:
    asio::io_context context_;
    std::shared_ptr<redis::connection> connection_;
    std::size_t number_ = 0;
};

}  // namespace

TEST_CASE("redis: of a name's addresses, one that drops packets takes no more than its share of the time") {
    two_addresses both;
    both.first.lose_packets();
    CHECK_FALSE(both.claim());
    CHECK(both.second.connections() == 1);
}

TEST_CASE("redis: of a name's addresses, one that accepts and says nothing is not tried first again") {
    two_addresses both;
    both.first.hold();
    while (both.claim()) {
    }
    CHECK(both.first.connections() == 1);
    CHECK(both.second.connections() == 1);
}
