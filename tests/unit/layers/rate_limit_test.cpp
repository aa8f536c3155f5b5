// SPDX-License-Identifier: MIT

// draft-ietf-httpapi-ratelimit-headers, RFC 6585 section 4 (429), RFC 9110 section 10.2.3 (Retry-After).

#include <idempo/key.hpp>
#include <idempo/layers/idempotency.hpp>
#include <idempo/layers/memory_rate_limiter.hpp>
#include <idempo/layers/rate_limit.hpp>
#include <idempo/stores/memory_store.hpp>

#include "support/catch.hpp"
#include "support/manual_clock.hpp"
#include "support/rate_limit_fields.hpp"
#include "support/requests.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace idempo::tests;
using namespace std::chrono_literals;
namespace ip = boost::asio::ip;
using idempo::memory_rate_limiter;
using idempo::rate_limit_options;

text_request from(std::string_view client) {
    auto request = unkeyed_request();
    request.set("X-User", client);
    return request;
}

rate_limit_options by_user() { return {.client = idempo::client::field("X-User")}; }

auto handler() {
    return [](text_request const&) { return text_response{http::status::created, 11}; };
}

idempo::store_key client_number(std::size_t number) { return idempo::make_store_key("", "", std::to_string(number)); }

}  // namespace

TEST_CASE("rate_limit: the request after the last one of a window is refused, and told when to come back",
          "[rate_limit]") {
    manual_clock clock;
    memory_rate_limiter limiter({.limit = 10, .window = 1min}, {.clock = clock});
    auto const handle = idempo::rate_limit(limiter, by_user()) | handler();
    for (int request = 1; request <= 10; ++request) {
        auto const response = handle(from("alice"));
        CHECK(response.result_int() == 201);
        CHECK(remaining_in(response) == std::to_string(10 - request));
    }
    clock.advance(20'500ms);
    auto const refused = handle(from("alice"));
    CHECK(refused.result_int() == 429);
    CHECK(refused["Retry-After"] == "40");
    CHECK(refused["RateLimit-Policy"] == R"("default";q=10;w=60)");
    CHECK(refused["RateLimit"] == R"("default";r=0;t=40)");
    CHECK(remaining_in(refused) == "0");
    CHECK(refused["Content-Type"] == "application/problem+json");
    CHECK(handle(from("bob")).result_int() == 201);

    clock.advance(39'499ms);
    CHECK(handle(from("alice")).result_int() == 429);
    clock.advance(1ms);
    CHECK(remaining_in(handle(from("alice"))) == "9");
}

TEST_CASE("rate_limit: the fields that are wanted", "[rate_limit]") {
    auto options = by_user();
    options.name = "writes";
    auto const answer = [&options] {
        auto const limit = idempo::rate_limit(memory_rate_limiter({.limit = 5, .window = 1500ms}), options);
        return (limit | handler())(from("alice"));
    };
    auto const usual = answer();
    CHECK(usual["RateLimit-Policy"] == R"("writes";q=5;w=2)");
    CHECK(usual["RateLimit"] == R"("writes";r=4;t=2)");
    CHECK(usual.count("RateLimit-Limit") == 0);
    CHECK(usual.count("X-RateLimit-Limit") == 0);

    options.fields = {.structured = false, .separate = true, .legacy = true};
    auto const older = answer();
    CHECK(older.count("RateLimit-Policy") == 0);
    CHECK(older.count("RateLimit") == 0);
    CHECK(older["RateLimit-Limit"] == "5");
    CHECK(older["RateLimit-Remaining"] == "4");
    CHECK(older["RateLimit-Reset"] == "2");
    CHECK(older["X-RateLimit-Limit"] == "5");
    CHECK(older["X-RateLimit-Remaining"] == "4");
}

TEST_CASE("rate_limit: limits nest, each with its name, and the structured fields list both", "[rate_limit]") {
    memory_rate_limiter const shared({.limit = 3, .window = 1min});
    auto named = [](std::string name) {
        auto options = by_user();
        options.name = std::move(name);
        return options;
    };
    auto const handle = idempo::rate_limit(shared, named("outer")) |
                        idempo::rate_limit(memory_rate_limiter({.limit = 2, .window = 1min}), named("inner")) |
                        handler();
    auto const response = handle(from("alice"));
    CHECK(response.count("RateLimit-Policy") == 2);
    CHECK(response.count("RateLimit") == 2);
    CHECK(handle(from("alice")).result_int() == 201);
    CHECK(handle(from("alice")).result_int() == 429);

    auto const other = idempo::rate_limit(shared, named("other")) | handler();
    CHECK(remaining_in(other(from("alice"))) == "2");
}

TEST_CASE("rate_limit: a client that nobody knows is refused, and some requests are not counted", "[rate_limit]") {
    auto options = by_user();
    options.applies = [](idempo::request_head const& head) { return head.method() != http::verb::get; };
    std::vector<unsigned> told;
    options.observer = [&](idempo::event const& event) { told.push_back(event.status); };
    auto const handle = idempo::rate_limit(memory_rate_limiter({.limit = 1, .window = 1min}), options) | handler();
    CHECK(handle(unkeyed_request()).result_int() == 403);
    CHECK(handle(from("")).result_int() == 403);
    auto two = from("alice");
    two.insert("X-User", "bob");
    CHECK(handle(two).result_int() == 403);
    CHECK(handle(from("alice")).result_int() == 201);
    CHECK(handle(from("alice")).result_int() == 429);
    text_request const get{http::verb::get, "/", 11};
    CHECK(handle(get).result_int() == 201);
    CHECK(handle(get).count("RateLimit") == 0);
    CHECK(told == std::vector<unsigned>{403, 403, 403, 429});
}

TEST_CASE("rate_limit: a limiter that fails refuses by default, and lets pass where that was chosen", "[rate_limit]") {
    struct broken_limiter {
        idempo::rate_decision take(idempo::store_key const&, idempo::error_code& error) {
            error = idempo::error::store_unavailable;
            return {};
        }
        idempo::rate get_rate() const { return {}; }
    };
    auto options = by_user();
    idempo::error_code told;
    options.observer = [&](idempo::event const& event) {
        if (event.type == idempo::event_type::store_error) told = event.error;
    };
    auto const refused = (idempo::rate_limit(broken_limiter(), options) | handler())(from("alice"));
    CHECK(refused.result_int() == 503);
    CHECK(refused.count("Retry-After") == 1);
    CHECK(told == idempo::error::store_unavailable);
    told.clear();
    options.on_error = idempo::on_limiter_error::pass;
    auto const passed = (idempo::rate_limit(broken_limiter(), options) | handler())(from("alice"));
    CHECK(passed.result_int() == 201);
    CHECK(passed.count("RateLimit") == 0);
    CHECK(told == idempo::error::store_unavailable);
}

TEST_CASE("rate_limit: a refused request reaches no store", "[rate_limit]") {
    idempo::memory_store const records;
    auto const handle = idempo::rate_limit(memory_rate_limiter({.limit = 1, .window = 1min}), by_user()) |
                        idempo::idempotency(records) | handler();
    for (int request = 0; request < 3; ++request) {
        auto order = keyed_request("key-" + std::to_string(request));
        order.set("X-User", "alice");
        CHECK(handle(order).result_int() == (request == 0 ? 201U : 429U));
    }
    CHECK(records.size() == 1);
}

TEST_CASE("client: the peer is its address, without port, mapping and zone", "[client]") {
    auto const peer_of = [](char const* address, unsigned bits = 64) {
        text_request request;
        request.insert(idempo::peer_field, "203.0.113.66");  // a client that would be somebody else
        request.insert(idempo::peer_field, "203.0.113.67");
        idempo::set_peer(request, ip::make_address(address));
        return idempo::client::peer(bits)(request);
    };
    CHECK(peer_of("192.0.2.1") == "192.0.2.1");
    CHECK(peer_of("::ffff:192.0.2.1") == "192.0.2.1");
    CHECK(peer_of("2001:db8:1:2:3:4:5:6") == peer_of("2001:db8:1:2::1"));
    CHECK(peer_of("2001:db8:1:2:3:4:5:6") != peer_of("2001:db8:1:3:3:4:5:6"));
    CHECK(peer_of("2001:db8:1:2:3:4:5:6", 128) != peer_of("2001:db8:1:2::1", 128));
    CHECK(peer_of("2001:db8::1", 0) == peer_of("fe80::1", 0));
    CHECK(peer_of("fe80::1%1") == peer_of("fe80::2"));

    text_request unknown;
    CHECK(idempo::client::peer()(unknown) == std::nullopt);
    unknown.set(idempo::peer_field, "192.0.2.1:80");
    CHECK(idempo::client::peer()(unknown) == std::nullopt);
    CHECK_THROWS_AS(idempo::client::peer(129), std::invalid_argument);
    CHECK_THROWS_AS(idempo::client::field("X User"), std::invalid_argument);
}

TEST_CASE("memory_rate_limiter: no more windows than allowed, and the one that ends soonest goes first",
          "[rate_limit]") {
    manual_clock clock;
    memory_rate_limiter limiter({.limit = 1, .window = 1min}, {.max_clients = 3, .clock = clock});
    idempo::error_code error;
    for (std::size_t client = 0; client < 5; ++client) {
        CHECK(limiter.take(client_number(client), error).allowed);
        clock.advance(1s);
    }
    CHECK(limiter.size() == 3);
    for (std::size_t client : {2U, 3U, 4U}) CHECK_FALSE(limiter.take(client_number(client), error).allowed);
    CHECK(limiter.take(client_number(0), error).allowed);  // it lost its window to a newer one
    clock.advance(1min);
    CHECK(limiter.take(client_number(9), error).allowed);
    CHECK(limiter.size() == 1);
    CHECK_FALSE(error);
}

TEST_CASE("memory_rate_limiter: many threads take exactly what there is", "[rate_limit]") {
    auto const seed = std::random_device()();
    INFO("seed " << seed);
    constexpr unsigned limit = 500;
    constexpr std::size_t clients = 4;
    memory_rate_limiter limiter({.limit = limit, .window = std::chrono::hours(1)});
    std::vector<std::atomic<unsigned>> allowed(clients);
    std::vector<std::atomic<unsigned>> lowest(clients);
    std::vector<std::thread> threads;
    for (unsigned thread = 0; thread < 4; ++thread) {
        threads.emplace_back([&, thread] {
            std::mt19937 random(seed + thread);
            // Each thread alone would use up every window.
            std::vector<unsigned> tries(clients, limit + 10);
            for (std::size_t left = clients * (limit + 10); left > 0;) {
                auto const client = random() % clients;
                if (tries[client] == 0) continue;
                --tries[client];
                --left;
                idempo::error_code error;
                auto const decision = limiter.take(client_number(client), error);
                if (!decision.allowed) continue;
                ++allowed[client];
                lowest[client] |= decision.remaining == 0 ? 1U : 0U;
            }
        });
    }
    for (auto& thread : threads) thread.join();
    for (std::size_t client = 0; client < clients; ++client) {
        CHECK(allowed[client] == limit);
        CHECK(lowest[client] == 1);
    }
}

TEST_CASE("rate_limit: options that make no sense throw", "[rate_limit]") {
    CHECK_THROWS_AS(memory_rate_limiter({.limit = 0}), std::invalid_argument);
    CHECK_THROWS_AS(memory_rate_limiter({.window = 0ms}), std::invalid_argument);
    CHECK_THROWS_AS(memory_rate_limiter({.window = std::chrono::hours(25)}), std::invalid_argument);
    CHECK_THROWS_AS(memory_rate_limiter({}, {.max_clients = 0}), std::invalid_argument);
    memory_rate_limiter const limiter({.limit = 1});
    CHECK_THROWS_AS(idempo::rate_limit(limiter, {.client = nullptr}), std::invalid_argument);
    CHECK_THROWS_AS(idempo::rate_limit(limiter, {.name = ""}), std::invalid_argument);
    CHECK_THROWS_AS(idempo::rate_limit(limiter, {.name = "a\"b"}), std::invalid_argument);
    CHECK_THROWS_AS(idempo::rate_limit(limiter, {.write_problem = nullptr}), std::invalid_argument);
}
