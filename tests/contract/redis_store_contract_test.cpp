#include "support/catch.hpp"
#include "support/fault_proxy.hpp"
#include "support/inspectable_redis.hpp"
#include "support/redis_server.hpp"
#include "support/test_certificate.hpp"

#include <idempo/redis_store.hpp>
#include <idempo/store.hpp>
#include <idempo/testing/store_contract.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

using namespace std::chrono_literals;
using namespace idempo::tests;

namespace {

static_assert(idempo::async_renewable_store<idempo::redis_store>);
static_assert(idempo::renewable_store<inspectable_redis>);
static_assert(idempo::inspectable_store<inspectable_redis>);

using way_to_server = std::function<idempo::redis_options(redis_server const&)>;

/// Makes INFO tell of a Redis that has no SET with NX and GET.
void claim_to_be_older(std::string& reply) {
    constexpr std::string_view version = "redis_version:";
    auto const found = reply.find(version);
    if (found != std::string::npos)
        reply.replace(found + version.size(), 1, "6").replace(found + version.size() + 2, 1, "2");
}

idempo::redis_options over_tcp(redis_server const& server) {
    idempo::redis_options options;
    options.port = server.port();
    options.operation_timeout = 10s;  // a slow machine is no violation of the contract
    return options;
}

/// The contract, with the records in one server, and a second one that gets full.
class redis_fixture {
public:
    explicit redis_fixture(redis_server& server, redis_server& small_server, way_to_server way)
        : small_server_(small_server),
          way_(std::move(way)),
          store_(way_(server)) {}

    inspectable_redis store() { return store_; }

    inspectable_redis bounded_store(std::size_t records) {
        // A record and its share of the tables take some 400 bytes. The server's own use varies by tens of thousands,
        // so the room is for several times as many.
        constexpr std::size_t room_for_one = 10'000;
        small_server_.ask({"FLUSHALL"});
        small_server_.ask({"CONFIG", "SET", "maxmemory", "0"});
        inspectable_redis small(way_(small_server_));
        idempo::error_code ignored;
        small.peek({}, ignored);  // the connection's buffers count, too
        auto const used = std::stoul(info_field(small_server_.ask({"INFO", "memory"}), "used_memory"));
        small_server_.ask({"CONFIG", "SET", "maxmemory", std::to_string(used + records * room_for_one)});
        return small;
    }

    static void advance(std::chrono::milliseconds span) { std::this_thread::sleep_for(span); }
    static std::chrono::milliseconds time_unit() { return 100ms; }

private:
    redis_server& small_server_;
    way_to_server way_;
    inspectable_redis store_;
};

}  // namespace

TEST_CASE("redis_store keeps the contract over TCP") {
    redis_server server;
    redis_server small_server;
    redis_fixture fixture(server, small_server, over_tcp);
    idempo::testing::store_contract(fixture);
}

TEST_CASE("redis_store keeps the contract over several connections") {
    redis_server server;
    redis_server small_server;
    redis_fixture fixture(server, small_server, [](redis_server const& to) {
        auto options = over_tcp(to);
        options.connections = 3;
        return options;
    });
    idempo::testing::store_contract(fixture);
}

TEST_CASE("redis_store keeps the contract over a unix socket") {
    redis_server server;
    redis_server small_server;
    redis_fixture fixture(server, small_server, [](redis_server const& to) {
        auto options = over_tcp(to);
        options.unix_path = to.unix_path();
        return options;
    });
    idempo::testing::store_contract(fixture);
}

TEST_CASE("redis_store keeps the contract over TLS") {
    test_certificate const certificate("localhost");
    redis_server server(certificate.redis_flags());
    redis_server small_server(certificate.redis_flags());
    redis_fixture fixture(server, small_server, [&](redis_server const& to) {
        auto options = over_tcp(to);
        options.host = "localhost";
        options.tls.emplace().ca_file = certificate.path();
        return options;
    });
    idempo::testing::store_contract(fixture);
}

TEST_CASE("redis_store keeps the contract by its scripts alone, as before Redis 7") {
    redis_server server;
    redis_server small_server;
    fault_proxy proxy(server.port());
    fault_proxy small_proxy(small_server.port());
    for (auto* each : {&proxy, &small_proxy}) each->rewrite(claim_to_be_older);
    redis_fixture fixture(server, small_server, [&](redis_server const& to) {
        auto options = over_tcp(to);
        options.port = &to == &server ? proxy.port() : small_proxy.port();
        return options;
    });
    idempo::testing::store_contract(fixture);
}
