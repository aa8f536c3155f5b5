// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/fault_proxy.hpp"
#include "support/idle_context.hpp"
#include "support/inspectable_redis.hpp"
#include "support/redis_contract_fixture.hpp"
#include "support/redis_server.hpp"
#include "support/test_certificate.hpp"

#include <idempo/redis/operations/operations.hpp>
#include <idempo/redis/store.hpp>
#include <idempo/store.hpp>
#include <idempo/testing/store_contract.hpp>

#include <boost/asio/thread_pool.hpp>

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

using namespace idempo::tests;
using namespace std::chrono_literals;

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
    return options;
}

void check_contract(redis_server const& server, redis_server& full_server, way_to_server const& way) {
    redis_contract_fixture fixture(way(server), full_server, way(full_server));
    idempo::testing::store_contract(fixture);
}

}  // namespace

TEST_CASE("redis_store: keeps the contract over TCP") {
    redis_server server;
    redis_server small_server;
    check_contract(server, small_server, over_tcp);
}

TEST_CASE("redis_store: keeps the contract over several connections") {
    redis_server server;
    redis_server small_server;
    check_contract(server, small_server, [](redis_server const& to) {
        auto options = over_tcp(to);
        options.connections = 3;
        return options;
    });
}

TEST_CASE("redis_store: keeps the contract over a unix socket") {
    redis_server server;
    redis_server small_server;
    check_contract(server, small_server, [](redis_server const& to) {
        auto options = over_tcp(to);
        options.unix_path = to.unix_path();
        return options;
    });
}

TEST_CASE("redis_store: keeps the contract over TLS") {
    test_certificate const certificate("localhost");
    redis_server server(certificate.redis_flags());
    redis_server small_server(certificate.redis_flags());
    check_contract(server, small_server, [&](redis_server const& to) {
        auto options = over_tcp(to);
        options.host = "localhost";
        options.tls.emplace().ca_file = certificate.path();
        return options;
    });
}

TEST_CASE("redis_store: keeps the contract by its scripts alone, as before Redis 7") {
    redis_server server;
    redis_server small_server;
    fault_proxy proxy(server.port());
    fault_proxy small_proxy(small_server.port());
    for (auto* each : {&proxy, &small_proxy}) each->rewrite(claim_to_be_older);
    check_contract(server, small_server, [&](redis_server const& to) {
        auto options = over_tcp(to);
        options.port = &to == &server ? proxy.port() : small_proxy.port();
        return options;
    });
}

TEST_CASE("redis_store: the handler's own executor is kept at work until it is called") {
    redis_server const server;
    boost::asio::thread_pool threads(1);
    idempo::redis_store store(threads.get_executor(), over_tcp(server));
    CHECK(is_called_on_idle_context([&](auto handler) { store.async_claim({}, std::move(handler)); }));
    CHECK(is_called_on_idle_context([&](auto handler) { store.async_abandon({}, {}, std::move(handler)); }));
    CHECK(is_called_on_idle_context([&](auto handler) { store.async_list({}, std::move(handler)); }));
    threads.stop();
    threads.join();
}

TEST_CASE("redis_store: a mark is a small key of its own, in the slot of its record, and goes with it") {
    redis_server const server;
    auto options = over_tcp(server);
    inspectable_redis store(options);
    idempo::error_code ec;
    idempo::store_key const key{{7}};
    auto const record = idempo::redis::redis_key(options.prefix, key);
    auto const mark = idempo::redis::mark_key(options.prefix, record);
    // The hash tag of the mark is the whole key of the record.
    CHECK(mark == options.prefix + "{" + record + "}");
    auto const lives = [&](std::string const& of) { return std::stol(server.ask({"PTTL", of})); };
    idempo::claim_request claim{key, {{1}}, {{1}}, 60s, 100s, true, false, 1000s};
    REQUIRE(std::holds_alternative<idempo::granted>(store.claim(claim, ec)));
    CHECK(lives(record) <= 160'000);
    CHECK(lives(mark) > 1'100'000);
    CHECK(lives(mark) <= 1'160'000);
    idempo::complete_request const complete{key, {{1}}, {{1}}, idempo::shared_bytes("done"), 100s, 1000s};
    REQUIRE(std::holds_alternative<idempo::done>(store.complete(complete, ec)));
    CHECK(lives(mark) <= 1'100'000);
    CHECK(lives(mark) > 1'000'000);
    auto const bytes = std::stol(server.ask({"MEMORY", "USAGE", mark}));
    WARN("a mark takes " << bytes << " bytes of Redis' memory, its record of 4 bytes "
                         << server.ask({"MEMORY", "USAGE", record}));
    CHECK(bytes <= 250);
    CHECK(store.forget(key, ec));
    CHECK(server.ask({"DBSIZE"}) == "0");
    REQUIRE(std::holds_alternative<idempo::granted>(store.claim(claim, ec)));
    store.abandon(key, claim.fencing_token, ec);
    CHECK(server.ask({"DBSIZE"}) == "0");
    claim.remember = {};
    REQUIRE(std::holds_alternative<idempo::granted>(store.claim(claim, ec)));
    CHECK(server.ask({"DBSIZE"}) == "1");
}
