// SPDX-License-Identifier: MIT
#include "support/campaign.hpp"
#include "support/catch.hpp"
#include "support/fault_proxy.hpp"
#include "support/inspectable_redis.hpp"
#include "support/patience.hpp"
#include "support/pending_answer.hpp"
#include "support/redis_scene.hpp"
#include "support/redis_server.hpp"
#include "support/requests.hpp"

#include <idempo/layers/idempotency.hpp>
#include <idempo/layers/middleware.hpp>
#include <idempo/layers/rate_limit.hpp>
#include <idempo/redis/rate_limiter.hpp>
#include <idempo/redis/store.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <exception>
#include <future>
#include <iostream>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

using namespace idempo::tests;
using namespace idempo;
namespace asio = boost::asio;

// Bursts of one key at a distance from the server: no operation waits for another's round trip.

namespace {

/// Long enough for a busy machine. One round trip after the other, a burst below takes 6 s at 3 ms, 60 s at 30 ms.
constexpr auto enough_for_a_burst = 5s;

/// Redis, so far away.
struct distant_redis {
    explicit distant_redis(std::chrono::milliseconds round_trip) : network(server.port()) {
        network.delay(round_trip, round_trip / 10);
    }

    [[nodiscard]] redis_options options() const {
        auto found = local_redis(network.port());
        found.operation_timeout = enough_for_a_burst;
        return found;
    }

    redis_server server;
    fault_proxy network;
};

std::chrono::milliseconds each_distance() { return GENERATE(as<std::chrono::milliseconds>{}, 0ms, 3ms, 30ms); }

using statuses = std::map<unsigned, std::size_t>;

/// So many clients that each send the same request until `is_over` says of an answer that they are done.
template <class Handler, class Predicate>
statuses flood(asio::io_context& context, Handler const& handler, std::size_t clients, Predicate is_over) {
    statuses counted;
    auto const client = [&](std::size_t) -> asio::awaitable<void> {
        for (bool goes_on = true; goes_on;) {
            auto request = keyed_request();
            auto answer = co_await handler(std::move(request), asio::use_awaitable);
            auto const response = read(std::move(answer));
            ++counted[response.result_int()];
            goes_on = !is_over(response);
        }
    };
    std::vector<std::future<void>> all;
    for (std::size_t number = 0; number < clients; ++number) {
        all.push_back(asio::co_spawn(context, client(number), asio::use_future));
    }
    auto const deadline = std::chrono::steady_clock::now() + patience;
    for (auto& each : all) {
        while (each.wait_for(0s) != std::future_status::ready) {
            REQUIRE(std::chrono::steady_clock::now() < deadline);
            context.run_one_for(100ms);
        }
        each.get();
    }
    return counted;
}

struct flood_size {
    std::size_t clients;
    std::chrono::milliseconds lease;
    std::chrono::milliseconds handler;
    std::chrono::milliseconds operation_timeout;
};

/// A charge that takes its time.
auto slow_charge(std::chrono::milliseconds span, std::size_t& charges) {
    return [span, &charges](text_request) -> asio::awaitable<text_response> {
        asio::steady_timer timer(co_await asio::this_coro::executor, span);
        co_await timer.async_wait(asio::use_awaitable);
        ++charges;
        text_response response{http::status::created, 11, "charged"};
        response.prepare_payload();
        co_return response;
    };
}

}  // namespace

TEST_CASE("redis: at any distance, a burst of claims of one key is answered in a few round trips") {
    auto const distance = each_distance();
    CAPTURE(distance.count());
    distant_redis redis(distance);
    inspectable_redis store(redis.options());
    bool const is_held = GENERATE(false, true);  // in an earlier turn, or by one of the burst
    auto const holder = claim_of(numbered_key(1));
    error_code error;
    if (is_held) store.claim(holder, error);
    REQUIRE(works(store));

    std::vector<pending_answer<claim_result>> burst;
    for (int number = 0; number < 1000; ++number) burst.push_back(begin_claim(store.async(), claim_of(holder.key)));
    std::size_t grants = 0;
    std::size_t rivals = 0;
    for (auto& each : burst) {
        auto const [failure, answer] = each.get();
        CHECK_FALSE(failure);
        grants += std::holds_alternative<granted>(answer);
        rivals += std::holds_alternative<in_flight>(answer);
    }
    CHECK(grants == (is_held ? 0 : 1));
    CHECK(rivals == burst.size() - grants);
}

TEST_CASE("redis: at any distance, operations of one key are carried out in their order") {
    auto const distance = each_distance();
    CAPTURE(distance.count());
    distant_redis redis(distance);
    inspectable_redis store(redis.options());
    REQUIRE(works(store));
    for (std::size_t round = 0; round < 30; ++round) {
        auto const first = claim_of(numbered_key(round));
        auto const second = claim_of(numbered_key(round));
        if (round % 5 == 0) redis.server.ask({"SCRIPT", "FLUSH"});
        auto granted_first = begin_claim(store.async(), first);
        // In the same turn of the loop, or in a later one, before the first answer: only time passes between the two.
        if (round % 2 == 0) std::this_thread::sleep_for(distance / 3);
        auto rival = begin_claim(store.async(), second);
        auto renewed = begin_renew(store.async(), first);
        store.async().async_abandon(first.key, first.fencing_token, [](error_code) {});
        auto granted_second = begin_claim(store.async(), second);
        auto stored = begin_complete(store.async(), complete_of(second, "second"));
        auto replay = begin_claim(store.async(), first);
        CHECK(std::holds_alternative<granted>(granted_first.get().second));
        CHECK(std::holds_alternative<in_flight>(rival.get().second));
        CHECK(renewed.get().second);
        CHECK(std::holds_alternative<granted>(granted_second.get().second));
        CHECK(std::holds_alternative<done>(stored.get().second));
        CHECK(std::holds_alternative<completed>(replay.get().second));
    }
}

TEST_CASE("redis: at any distance, a thousand duplicates of a charge at once get 409, and none 503") {
    auto const distance = each_distance();
    CAPTURE(distance.count());
    distant_redis redis(distance);
    asio::io_context context;
    std::size_t charges = 0;
    auto const handler =
        idempotency(redis_store(context.get_executor(), redis.options())) | slow_charge(500ms, charges);
    auto const counted = flood(context, handler, 1000, [](text_response const&) { return true; });
    CHECK(charges == 1);
    CHECK(counted == statuses{{201, 1}, {409, 999}});
}

TEST_CASE("redis: at any distance, two thousand requests of one client at once get what the limit allows") {
    auto const distance = each_distance();
    CAPTURE(distance.count());
    distant_redis redis(distance);
    asio::io_context context;
    std::size_t served = 0;
    auto const handler =
        rate_limit(redis_rate_limiter(context.get_executor(), redis.options(), {.limit = 10, .window = 1h}),
                   {.client = client::field("Idempotency-Key"), .on_error = on_limiter_error::pass}) |
        [&served](text_request) -> asio::awaitable<text_response> {
        ++served;
        co_return text_response{http::status::created, 11};
    };
    auto const counted = flood(context, handler, 2000, [](text_response const&) { return true; });
    CHECK(served == 10);
    CHECK(counted == statuses{{201, 10}, {429, 1990}});
}

TEST_CASE("redis: a burst at a server that knows no script sends the source once") {
    distant_redis redis(3ms);
    asio::io_context context;
    redis_rate_limiter const limiter(context.get_executor(), redis.options(), {.limit = 10, .window = 1h});
    auto const handler = rate_limit(limiter, {.client = client::field("Idempotency-Key")}) |
                         [](text_request) -> asio::awaitable<text_response> { co_return text_response{}; };
    auto const is_over = [](text_response const&) { return true; };
    flood(context, handler, 1, is_over);
    redis.server.ask({"SCRIPT", "FLUSH"});
    auto const before = redis.network.request_bytes();
    constexpr std::size_t clients = 1000;
    flood(context, handler, clients, is_over);
    auto const sent = redis.network.request_bytes() - before;
    // Two commands each, by the digest.
    CHECK(sent < clients * 1000);
    CHECK(redis.server.ask({"INFO", "commandstats"}).find("cmdstat_eval:") != std::string::npos);
}

// The claim is renewed, and its response stored, behind hundreds of duplicates at any time. A campaign has the size
// with which a charge was once made twice.
TEST_CASE("redis: a flood of duplicates that outlasts several leases makes one charge, and all get its answer") {
    auto const distance = each_distance();
    CAPTURE(distance.count());
    auto const size = is_campaign() ? flood_size{2500, 5s, 15s, 1s} : flood_size{150, 1500ms, 4s, 700ms};
    int const runs = campaign_cycles(1);
    for (int run = 0; run < runs; ++run) {
        distant_redis redis(distance);
        asio::io_context context;
        std::size_t charges = 0;
        options wanted;
        wanted.lease = size.lease;
        auto settings = redis.options();
        settings.operation_timeout = size.operation_timeout;
        auto const handler =
            idempotency(redis_store(context.get_executor(), settings), wanted) | slow_charge(size.handler, charges);
        auto const counted = flood(context, handler, size.clients,
                                   [](text_response const& response) { return response.result_int() == 201; });
        CHECK(charges == 1);
        CHECK(counted.at(201) == size.clients);
        CHECK(counted.at(409) > 500);
        if (!is_campaign()) CHECK_FALSE(counted.contains(503));
        if (is_campaign()) {
            std::cout << distance.count() << " ms, run " << run + 1 << ": " << charges << " charge, ";
            for (auto const& [status, count] : counted) std::cout << count << " x " << status << ' ';
            std::cout << std::endl;
        }
    }
}

TEST_CASE("redis: claims that have filled the connection refuse no Renew, Complete or Abandon") {
    distant_redis redis(3ms);
    auto options = redis.options();
    options.max_pending = 10;
    inspectable_redis store(options);
    auto const held = claim_of(numbered_key(1));
    auto const given_up = claim_of(numbered_key(2));
    error_code error;
    store.claim(held, error);
    store.claim(given_up, error);
    REQUIRE_FALSE(error);
    redis.network.hold();
    std::vector<pending_answer<claim_result>> claims;
    for (std::size_t number = 10; number < 40; ++number) {
        claims.push_back(begin_claim(store.async(), claim_of(numbered_key(number))));
    }
    auto renewed = begin_renew(store.async(), held);
    auto stored = begin_complete(store.async(), complete_of(held, "stored"));
    auto abandoned = begin<int>([&](auto done) {
        store.async().async_abandon(given_up.key, given_up.fencing_token,
                                    [done](error_code failure) mutable { done(failure, 0); });
    });
    redis.network.release();
    std::size_t refused = 0;
    for (auto& each : claims) refused += each.get().first == error::store_unavailable;
    CHECK(refused == 20);
    CHECK(renewed.get() == std::pair(error_code(), true));
    CHECK(std::holds_alternative<done>(stored.get().second));
    CHECK_FALSE(abandoned.get().first);
}

TEST_CASE("redis: records on their way are bounded in bytes, and do not refuse what is small") {
    distant_redis redis(0ms);
    auto options = redis.options();
    options.max_pending_bytes = 8 * 1024 * 1024;
    inspectable_redis store(options);
    auto const held = claim_of(numbered_key(1));
    error_code error;
    store.claim(held, error);
    REQUIRE_FALSE(error);
    redis.server.send_signal(SIGSTOP);
    std::string const record(1'000'000, 'x');
    std::vector<pending_answer<complete_result>> records;
    for (std::size_t number = 10; number < 40; ++number) {
        records.push_back(begin_complete(store.async(), complete_of(claim_of(numbered_key(number)), record)));
    }
    auto renewed = begin_renew(store.async(), held);
    redis.server.send_signal(SIGCONT);
    std::size_t refused = 0;
    for (auto& each : records) refused += each.get().first == error::store_unavailable;
    CHECK(refused == 22);
    CHECK(renewed.get() == std::pair(error_code(), true));
}
