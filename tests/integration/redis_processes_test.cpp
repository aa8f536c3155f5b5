// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/charge_burst.hpp"
#include "support/charge_scene.hpp"
#include "support/http_client.hpp"
#include "support/poll_until.hpp"
#include "support/redis_server.hpp"
#include "support/requests.hpp"

#include <chrono>
#include <csignal>
#include <cstddef>
#include <string>
#include <thread>
#include <vector>

using namespace idempo::tests;
using namespace std::chrono_literals;

// Several charge_server processes on one Redis behave as one.

TEST_CASE("redis: of a thousand identical requests to two processes, one is executed") {
    auto const style = each_style();
    CAPTURE(style);
    redis_server redis;
    charge_scene one(style, {"--store", redis.url()});
    charge_scene other(style, {"--store", redis.url()});
    int const rounds = style == "awaitable" ? 100 : 5;
    std::size_t conflicts = 0;
    std::size_t answered = 0;
    for (int round = 1; round <= rounds; ++round) {
        auto const key = "key-" + std::to_string(round);
        for (auto const status : burst(one, other, make_post("/charge?delay_ms=5", key, charge_42))) {
            conflicts += status == 409;
            answered += status == 201;
        }
        REQUIRE(one.charged() + other.charged() == static_cast<std::size_t>(round));
    }
    CHECK(conflicts + answered == static_cast<std::size_t>(rounds) * 1000);
    CHECK(conflicts > 0);
    CHECK(answered > 0);
}

TEST_CASE("redis: a process killed before its claim leaves nothing behind") {
    redis_server redis;
    charge_scene one("awaitable", {"--store", redis.url()});
    charge_scene other("awaitable", {"--store", redis.url()});
    one.client.send_raw("POST /charge HTTP/1.1\r\nHost: a\r\nIdempotency-Key: a\r\nContent-Length: 13\r\n\r\n{");
    one.server.send_signal(SIGKILL);
    one.server.wait();
    auto const answer = other.client.exchange(make_post("/charge", "a", charge_42));
    CHECK(answer.result_int() == 201);
    CHECK(answer.body().find("\"attempt\":1") != std::string::npos);
    CHECK(other.charged() == 1);
}

TEST_CASE("redis: a process killed after its effect and before its record: the retry runs again, and is told") {
    redis_server redis;
    charge_scene one("awaitable", {"--store", redis.url(), "--lease", "2s"});
    charge_scene other("awaitable", {"--store", redis.url(), "--lease", "2s"});
    auto const request = make_post("/charge?delay_ms=300", "a", charge_42);
    one.client.send(request);
    one.wait_until_started(1);
    redis.ask({"ACL", "SETUSER", "default", "-evalsha", "-eval"});  // Complete is tried again and again
    poll_until([&] { return one.charged() == 1; });
    one.server.send_signal(SIGKILL);
    one.server.wait();
    redis.ask({"ACL", "SETUSER", "default", "+evalsha", "+eval"});
    text_response answer;
    poll_until([&] {
        answer = other.client.exchange(request);
        return answer.result_int() == 201;
    });
    CHECK(answer.body().find("\"attempt\":2") != std::string::npos);
    CHECK_FALSE(is_replay(answer));
    CHECK(other.charged() == 1);  // the second one
}

TEST_CASE("redis: a process killed before its effect is taken over when its lease has ended") {
    redis_server redis;
    charge_scene one("awaitable", {"--store", redis.url(), "--lease", "2s"});
    charge_scene other("awaitable", {"--store", redis.url(), "--lease", "2s"});
    auto const request = make_post("/charge?delay_ms=1000", "a", charge_42);
    one.client.send(request);
    one.wait_until_started(1);
    auto const start = std::chrono::steady_clock::now();
    one.server.send_signal(SIGKILL);
    text_response answer;
    std::size_t conflicts = 0;
    poll_until([&] {
        answer = other.client.exchange(request);
        conflicts += answer.result_int() == 409;
        return answer.result_int() != 409;
    });
    CHECK(answer.result_int() == 201);
    CHECK(answer.body().find("\"attempt\":2") != std::string::npos);
    CHECK(std::chrono::steady_clock::now() - start > 2s);  // the rest of the lease, and the handler
    CHECK(conflicts > 10);
    CHECK(other.charged() == 1);
}

TEST_CASE("redis: a process that was stopped for longer than its lease changes nothing when it goes on") {
    redis_server redis;
    charge_scene one("awaitable", {"--store", redis.url(), "--lease", "1s"});
    charge_scene other("awaitable", {"--store", redis.url(), "--lease", "1s"});
    auto const request = make_post("/charge?delay_ms=500", "a", charge_42);
    one.client.send(request);
    one.wait_until_started(1);
    one.server.send_signal(SIGSTOP);
    text_response winner;
    poll_until([&] {
        winner = other.client.exchange(request);
        return winner.result_int() != 409;
    });
    CHECK(winner.body().find("\"attempt\":2") != std::string::npos);
    one.server.send_signal(SIGCONT);
    auto const late = one.client.receive();
    CHECK(late.body() == winner.body());  // the stored one, not its own
    auto const replay = one.client.exchange(request);
    CHECK(is_replay(replay));
    CHECK(replay.body() == winner.body());
}

TEST_CASE("redis: the heartbeat keeps the claim of a handler that runs three times as long as its lease") {
    redis_server redis;
    charge_scene one("awaitable", {"--store", redis.url(), "--lease", "1s"});
    charge_scene other("awaitable", {"--store", redis.url(), "--lease", "1s"});
    auto const request = make_post("/charge?delay_ms=3500", "a", charge_42);
    one.client.send(request);
    one.wait_until_started(1);
    auto const start = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - start < 3s) {
        CHECK(other.client.exchange(request).result_int() == 409);
        std::this_thread::sleep_for(100ms);
    }
    poll_until([&] { return other.client.exchange(request).result_int() == 201; });
    CHECK(one.charged() + other.charged() == 1);
    CHECK(other.started() == 0);
}
