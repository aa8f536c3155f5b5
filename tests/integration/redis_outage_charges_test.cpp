// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/charge_scene.hpp"
#include "support/http_client.hpp"
#include "support/poll_until.hpp"
#include "support/redis_server.hpp"
#include "support/requests.hpp"

#include <chrono>
#include <csignal>
#include <cstddef>
#include <string>

using namespace idempo::tests;
using namespace std::chrono_literals;

// What the client of a charge_server sees when its Redis fails.

namespace {

/// How long until the request is no longer answered 503.
std::chrono::milliseconds time_to_return(charge_scene& scene, text_request const& request) {
    auto const start = std::chrono::steady_clock::now();
    poll_until([&] { return scene.client.exchange(request).result_int() != 503; });
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
}

void check_refused(charge_scene& scene, text_request const& request) {
    auto const answer = scene.client.exchange(request);
    CHECK(answer.result_int() == 503);
    CHECK(answer.count(http::field::retry_after) == 1);
    CHECK(answer.body().find("Idempotency store is unavailable") != std::string::npos);
}

}  // namespace

TEST_CASE("redis: while it is gone a keyed charge is 503 and is not made, and soon after its return it is") {
    auto const style = each_style();
    CAPTURE(style);
    redis_server redis({"--appendonly", "yes", "--appendfsync", "always"});
    charge_scene scene(style, {"--store", redis.url()});
    REQUIRE(scene.client.exchange(make_post("/charge", "before", charge_42)).result_int() == 201);
    redis.kill();
    for (int i = 0; i < 10; ++i) check_refused(scene, make_post("/charge", "a", charge_42));
    CHECK(scene.started() == 1);
    CHECK(scene.client.exchange(make_post("/charge", "", charge_42)).result_int() == 201);  // without a key
    redis.start();
    CHECK(time_to_return(scene, make_post("/charge", "a", charge_42)) < 2s);
    CHECK(scene.charged() == 3);
    CHECK(is_replay(scene.client.exchange(make_post("/charge", "before", charge_42))));
}

TEST_CASE("redis: a server that is down at the start is reported, and used when it comes up") {
    auto const style = each_style();
    CAPTURE(style);
    redis_server redis;
    redis.kill();
    charge_scene scene(style, {"--store", redis.url()});
    check_refused(scene, make_post("/charge", "a", charge_42));
    poll_until([&] { return scene.server.errors().find("Redis cannot be reached") != std::string::npos; });
    redis.start();
    CHECK(time_to_return(scene, make_post("/charge", "a", charge_42)) < 2s);
    CHECK(scene.charged() == 1);
    poll_until([&] { return scene.server.errors().find("no append-only file") != std::string::npos; });
}

TEST_CASE("redis: a server that stops past the deadline is 503, and its late claim is gone") {
    auto const style = each_style();
    CAPTURE(style);
    redis_server redis;
    charge_scene scene(style, {"--store", redis.url()});
    REQUIRE(scene.client.exchange(make_post("/charge", "before", charge_42)).result_int() == 201);
    redis.send_signal(SIGSTOP);
    check_refused(scene, make_post("/charge", "a", charge_42));
    redis.send_signal(SIGCONT);
    poll_until([&] {
        auto const answer = scene.client.exchange(make_post("/charge", "a", charge_42));
        CHECK((answer.result_int() == 201 || answer.result_int() == 503 || answer.result_int() == 409));
        return answer.result_int() == 201;
    });
    CHECK(scene.charged() == 2);
}

TEST_CASE("redis: a server that is down while the handler runs gets the record when it is back") {
    auto const style = each_style();
    CAPTURE(style);
    redis_server redis({"--appendonly", "yes"});
    charge_scene scene(style, {"--store", redis.url()});
    auto const request = make_post("/charge?delay_ms=500", "a", charge_42);
    scene.client.send(request);
    scene.wait_until_started(1);
    redis.kill();
    poll_until([&] { return scene.charged() == 1; });
    redis.start();
    CHECK(scene.client.receive().result_int() == 201);
    CHECK(is_replay(scene.client.exchange(request)));
    CHECK(scene.charged() == 1);
}

TEST_CASE("redis: a process that is killed after its answer leaves the replay to the others") {
    redis_server redis;
    charge_scene one("awaitable", {"--store", redis.url()});
    charge_scene other("callback", {"--store", redis.url()});
    auto const request = make_post("/charge", "a", charge_42);
    auto const first = one.client.exchange(request);
    one.server.send_signal(SIGKILL);
    one.server.wait();
    auto const again = other.client.exchange(request);
    CHECK(is_replay(again));
    CHECK(again.body() == first.body());
    CHECK(other.charged() == 0);
}

TEST_CASE("redis: a charge_server with a URL that makes no sense ends with a sentence that quotes nothing of it") {
    server_process server({"--store", "redis://user:hunter2@"});
    CHECK(server.wait() == 2);
    CHECK(server.errors().find("redis: the URL lacks a host") != std::string::npos);
    CHECK(server.errors().find("hunter2") == std::string::npos);
}
