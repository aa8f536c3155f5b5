// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/poll_until.hpp"
#include "support/rate_limit_fields.hpp"
#include "support/redis_scene.hpp"
#include "support/redis_server.hpp"
#include "support/requests.hpp"
#include <idempo/redis/operations/operations.hpp>

#include <idempo/layers/idempotency.hpp>
#include <idempo/layers/rate_limit.hpp>
#include <idempo/redis/rate_limiter.hpp>
#include <idempo/stores/memory_store.hpp>

#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace idempo::tests;
using namespace idempo;
namespace asio = boost::asio;

namespace {

/// Two limiters with a connection each, as two processes have them, on one server.
struct two_limiters {
    explicit two_limiters(redis_server const& server, rate rate = {.limit = 5, .window = 1min})
        : first(threads.get_executor(), local_redis(server.port()), rate),
          second(threads.get_executor(), local_redis(server.port()), rate) {}
    two_limiters(two_limiters const&) = delete;
    two_limiters& operator=(two_limiters const&) = delete;
    ~two_limiters() {
        threads.stop();
        threads.join();
    }

    asio::thread_pool threads{2};
    redis_rate_limiter first;
    redis_rate_limiter second;
};

store_key const alice = make_store_key("rate_limit", "default", "alice");

std::string window_of(store_key const& client) { return redis::redis_key("idempo:rate:", client); }

rate_decision take(redis_rate_limiter& limiter, store_key const& client = alice) {
    error_code error;
    auto const decision = limiter.take(client, error);
    INFO(error.message());
    CHECK_FALSE(error);
    return decision;
}

text_request from_alice() {
    auto request = unkeyed_request();
    request.set("X-User", "alice");
    return request;
}

}  // namespace

TEST_CASE("redis_rate_limiter: processes share a window, which Redis ends", "[redis][rate_limit]") {
    redis_server const server;
    two_limiters limiters(server, {.limit = 5, .window = 700ms});
    for (unsigned left = 5; left-- > 0;) {
        auto const decision = take(left % 2 == 0 ? limiters.first : limiters.second);
        CHECK(decision.allowed);
        CHECK(decision.remaining <= left);
        CHECK(decision.reset <= 700ms);
        CHECK(decision.reset > 0ms);
    }
    poll_until([&] { return server.ask({"EXISTS", window_of(alice)}) == "0"; });
    CHECK(take(limiters.second).remaining == 4);
}

TEST_CASE("redis_rate_limiter: a used-up window is refused in all processes, and another client has another window",
          "[redis][rate_limit]") {
    redis_server const server;
    two_limiters limiters(server);
    for (int request = 0; request < 5; ++request) CHECK(take(limiters.first).allowed);
    auto const refused = take(limiters.second);
    CHECK_FALSE(refused.allowed);
    CHECK(refused.remaining == 0);
    CHECK(refused.reset > 0ms);
    CHECK(server.ask({"GET", window_of(alice)}) == "5");
    CHECK(take(limiters.second, make_store_key("rate_limit", "default", "bob")).remaining == 4);
}

TEST_CASE("redis_rate_limiter: no window is without an end", "[redis][rate_limit]") {
    redis_server const server;
    two_limiters limiters(server);
    auto const life = [&] { return std::stoll(server.ask({"PTTL", window_of(alice)})); };
    for (int request = 0; request < 7; ++request) {
        take(limiters.first);
        CHECK(life() > 0);
        CHECK(life() <= 60'000);
    }
    SECTION("one that has lost it begins anew") {
        server.ask({"PERSIST", window_of(alice)});
        CHECK(take(limiters.first).remaining == 4);
        CHECK(life() > 0);
    }
    SECTION("one that is too long is cut") {
        server.ask({"PEXPIRE", window_of(alice), "86400000"});
        auto const refused = take(limiters.first);
        CHECK_FALSE(refused.allowed);
        CHECK(refused.reset <= 1min);
        CHECK(life() <= 60'000);
    }
    SECTION("a server that forgets the script is told again") {
        server.ask({"SCRIPT", "FLUSH"});
        CHECK_FALSE(take(limiters.first).allowed);
    }
}

TEST_CASE("redis_rate_limiter: a value that is none of ours is left alone, and no request passes by it",
          "[redis][rate_limit]") {
    redis_server const server;
    two_limiters limiters(server);
    error_code error;
    server.ask({"SET", window_of(alice), "many", "PX", "60000"});
    CHECK_FALSE(limiters.first.take(alice, error).allowed);
    CHECK(error == error::record_unreadable);
    CHECK(server.ask({"GET", window_of(alice)}) == "many");
    server.ask({"DEL", window_of(alice)});
    server.ask({"LPUSH", window_of(alice), "1"});
    server.ask({"PEXPIRE", window_of(alice), "60000"});
    CHECK_FALSE(limiters.first.take(alice, error).allowed);
    CHECK(error);
}

TEST_CASE("redis_rate_limiter: a value that is no count is left alone, and costs no connection",
          "[redis][rate_limit]") {
    redis_server const server;
    two_limiters limiters(server);
    take(limiters.first, make_store_key("rate_limit", "default", "bob"));
    auto const connections = info_field(server.ask({"INFO", "stats"}), "total_connections_received");
    for (auto const* value : {"-5", "inf", "nan", "1e3", "2.5", "", "99999999999999999999"}) {
        CAPTURE(value);
        server.ask({"SET", window_of(alice), value, "PX", "60000"});
        error_code error;
        CHECK_FALSE(limiters.first.take(alice, error).allowed);
        CHECK(error == error::record_unreadable);
        CHECK(server.ask({"GET", window_of(alice)}) == value);
    }
    auto const asked = std::stoul(connections) + 2 * 7 + 1;  // by this test
    CHECK(info_field(server.ask({"INFO", "stats"}), "total_connections_received") == std::to_string(asked));
}

TEST_CASE("redis_rate_limiter: a full server goes on counting in the windows that it has", "[redis][rate_limit]") {
    redis_server const server;
    two_limiters limiters(server);
    CHECK(take(limiters.first).remaining == 4);
    server.ask({"CONFIG", "SET", "maxmemory", "1"});
    for (unsigned left = 4; left-- > 0;) CHECK(take(limiters.second).remaining == left);
    CHECK_FALSE(take(limiters.first).allowed);
    error_code error;
    CHECK_FALSE(limiters.first.take(make_store_key("rate_limit", "default", "bob"), error).allowed);
    CHECK(error == error::store_full);
}

TEST_CASE("redis_rate_limiter: many threads of two processes take exactly what there is", "[redis][rate_limit]") {
    redis_server const server;
    two_limiters limiters(server, {.limit = 100, .window = std::chrono::hours(1)});
    std::atomic<int> allowed{0};
    std::atomic<int> refused{0};
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; ++thread) {
        threads.emplace_back([&, thread] {
            auto& limiter = thread % 2 == 0 ? limiters.first : limiters.second;
            for (int request = 0; request < 50; ++request) {
                error_code error;
                auto const decision = limiter.take(alice, error);
                if (!error) ++(decision.allowed ? allowed : refused);
            }
        });
    }
    for (auto& thread : threads) thread.join();
    CHECK(allowed == 100);
    CHECK(refused == 100);
}

TEST_CASE("redis_rate_limiter: before handlers, in each style of call", "[redis][rate_limit]") {
    redis_server const server;
    two_limiters limiters(server);
    rate_limit_options const by_user{.client = client::field("X-User")};
    auto const plain = [](text_request const&) { return text_response{http::status::created, 11}; };
    auto const coroutine = [](text_request) -> asio::awaitable<text_response> {
        co_return text_response{http::status::created, 11};
    };
    auto const with_token = async_handler([](text_request const&, auto done) {
        std::move(done)(http::message_generator(text_response{http::status::created, 11}));
    });
    auto const first = rate_limit(limiters.first, by_user);
    auto const second = rate_limit(limiters.second, by_user);
    CHECK(remaining_in((first | plain)(from_alice())) == "4");
    CHECK(remaining_in(read((second | plain)(from_alice(), asio::use_future).get())) == "3");
    CHECK(remaining_in(read((first | coroutine)(from_alice(), asio::use_future).get())) == "2");
    CHECK(remaining_in(read((second | with_token)(from_alice(), asio::use_future).get())) == "1");
    auto const stack = first | idempotency(memory_store()) | plain;
    CHECK(remaining_in(read(stack(from_alice(), asio::use_future).get())) == "0");
    auto const refused = read(stack(from_alice(), asio::use_future).get());
    CHECK(refused.result_int() == 429);
    CHECK(refused.count("Retry-After") == 1);
    CHECK((second | plain)(from_alice()).result_int() == 429);
}

TEST_CASE("redis_rate_limiter: a server that is away refuses all, or none, as was chosen", "[redis][rate_limit]") {
    redis_server server;
    two_limiters limiters(server);
    rate_limit_options options{.client = client::field("X-User")};
    auto const plain = [](text_request const&) { return text_response{http::status::created, 11}; };
    auto const refusing = rate_limit(limiters.first, options) | plain;
    options.on_error = on_limiter_error::pass;
    auto const passing = rate_limit(limiters.first, options) | plain;
    CHECK(refusing(from_alice()).result_int() == 201);
    server.kill();
    CHECK(refusing(from_alice()).result_int() == 503);
    CHECK(read(refusing(from_alice(), asio::use_future).get()).result_int() == 503);
    CHECK(passing(from_alice()).result_int() == 201);
    server.start();
    poll_until([&] { return refusing(from_alice()).result_int() == 201; });
}
