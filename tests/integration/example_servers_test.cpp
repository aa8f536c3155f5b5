// SPDX-License-Identifier: MIT

// The small servers of examples/, in what any client can do to them.

#include "support/catch.hpp"
#include "support/http_client.hpp"
#include "support/poll_until.hpp"
#include "support/requests.hpp"
#include "support/server_process.hpp"

#include <boost/system/system_error.hpp>

#include <sys/resource.h>

#include <cstdint>
#include <filesystem>
#include <list>
#include <optional>
#include <string>
#include <vector>

using namespace idempo::tests;

namespace {

/// Both folders are beside each other in the build.
std::string examples_folder() {
    auto const servers = std::filesystem::path(IDEMPO_CHARGE_SERVER).parent_path();
    return (servers.parent_path().parent_path() / "examples").string();
}

std::string each_server_that_reads() {
    auto const name = GENERATE(as<std::string>(), "sync_server", "callback_server", "awaitable_server", "guard_server",
                               "payments_server");
    return examples_folder() + "/" + name;
}

std::string each_example() {
    auto const name = GENERATE(as<std::string>(), "sync_server", "callback_server", "awaitable_server", "guard_server");
    return examples_folder() + "/" + name;
}

/// For the servers that are started while it lives: so few descriptors.
class few_descriptors {
public:
    explicit few_descriptors(::rlim_t most) {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        ::rlimit const few{most, before_.rlim_max};
        ::setrlimit(RLIMIT_NOFILE, &few);
    }
    few_descriptors(few_descriptors const&) = delete;
    few_descriptors& operator=(few_descriptors const&) = delete;
    ~few_descriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

private:
    ::rlimit before_{};
};

bool is_alive(std::uint16_t port) {
    try {
        http_client client(port);
        return client.get("/nothing").result_int() == 404;
    } catch (boost::system::system_error const&) {
        return false;
    }
}

}  // namespace

TEST_CASE("example servers: they go on when descriptors have run out") {
    auto const program = each_example();
    CAPTURE(program);
    std::optional<server_process> server;
    {
        few_descriptors const few(32);
        server.emplace(std::vector<std::string>{}, program);
    }
    REQUIRE(server->port() != 0);
    std::list<http_client> crowd;
    for (int number = 0; number < 60; ++number) crowd.emplace_back(server->port());
    // Those that were accepted are served while the others wait.
    CHECK(crowd.front().get("/nothing").result_int() == 404);
    crowd.clear();
    poll_until([&] { return is_alive(server->port()); });
    CHECK(server->output().starts_with("listening"));
}

TEST_CASE("example servers: a HEAD never has a body, and a refusal of the reader arrives") {
    auto const program = each_example();
    CAPTURE(program);
    server_process const server({}, program);
    http_client client(server.port());
    for (std::string const target : {"/charge", "/payments", "/nothing"}) {
        client.send_raw("HEAD " + target + " HTTP/1.1\r\nHost: a\r\n\r\n");
        static_cast<void>(client.receive_head());
        CHECK(client.get("/nothing").result_int() == 404);
    }
    client.send_raw("POST /charge HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n" +
                    std::string(5'000'000, 'x'));
    CHECK(client.receive().result_int() == 413);
}

TEST_CASE("example servers: a client that waits for 100 Continue is told to go on") {
    auto const program = each_server_that_reads();
    CAPTURE(program);
    server_process const server({}, program);
    http_client client(server.port());
    client.send_raw("POST /nothing HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    CHECK(client.receive_head().result_int() == 100);
    client.send_raw("{}");
    CHECK(client.receive().result_int() >= 400);
}
