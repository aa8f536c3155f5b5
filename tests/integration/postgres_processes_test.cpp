// SPDX-License-Identifier: MIT
#include "support/campaign.hpp"
#include "support/catch.hpp"
#include "support/charge_burst.hpp"
#include "support/charge_scene.hpp"
#include "support/http_client.hpp"
#include "support/poll_until.hpp"
#include "support/postgres_server.hpp"
#include "support/requests.hpp"

#include <chrono>
#include <csignal>
#include <cstddef>
#include <string>
#include <thread>
#include <vector>

using namespace idempo::tests;
using namespace std::chrono_literals;

// Several charge_server processes on one PostgreSQL behave as one. Each test has keys of its own.

namespace {

postgres_server& shared_server() {
    static postgres_server server;
    return server;
}

std::string url() { return "postgresql://idempo@/postgres?host=" + shared_server().directory(); }

bool is_second_attempt(text_response const& answer) {
    return answer.result_int() == 201 && answer.body().find("\"attempt\":2") != std::string::npos;
}

}  // namespace

TEST_CASE("postgres: of a thousand identical requests to two processes, one is executed") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene one(style, {"--store", url()});
    charge_scene other(style, {"--store", url()});
    auto const rounds = static_cast<std::size_t>(campaign_cycles(1));
    std::size_t conflicts = 0;
    std::size_t answered = 0;
    for (std::size_t round = 1; round <= rounds; ++round) {
        auto const key = "burst-" + style + std::to_string(round);
        for (auto const status : burst(one, other, make_post("/charge?delay_ms=5", key, charge_42))) {
            conflicts += status == 409;
            answered += status == 201;
        }
        REQUIRE(one.charged() + other.charged() == round);
    }
    CHECK(conflicts + answered == rounds * 1000);
    CHECK(conflicts > 0);
    CHECK(answered > 0);
}

TEST_CASE("postgres: a process killed before its claim leaves nothing behind") {
    charge_scene one("awaitable", {"--store", url()});
    charge_scene other("awaitable", {"--store", url()});
    one.client.send_raw("POST /charge HTTP/1.1\r\nHost: a\r\nIdempotency-Key: early\r\nContent-Length: 13\r\n\r\n{");
    one.server.send_signal(SIGKILL);
    one.server.wait();
    auto const answer = other.client.exchange(make_post("/charge", "early", charge_42));
    CHECK(answer.result_int() == 201);
    CHECK(answer.body().find("\"attempt\":1") != std::string::npos);
    CHECK(other.charged() == 1);
}

TEST_CASE("postgres: a process killed before its effect is taken over when its lease has ended") {
    charge_scene one("awaitable", {"--store", url(), "--lease", "2s"});
    charge_scene other("awaitable", {"--store", url(), "--lease", "2s"});
    auto const request = make_post("/charge?delay_ms=1000", "killed-before-effect", charge_42);
    one.client.send(request);
    one.wait_until_started(1);
    one.server.send_signal(SIGKILL);
    text_response answer;
    std::size_t conflicts = 0;
    poll_until([&] {
        answer = other.client.exchange(request);
        conflicts += answer.result_int() == 409;
        return answer.result_int() != 409;
    });
    CHECK(is_second_attempt(answer));
    CHECK(conflicts > 10);
    CHECK(other.charged() == 1);
}

TEST_CASE("postgres: a process killed after its effect and before its record: the retry runs again, and is told") {
    charge_scene one("awaitable", {"--store", url(), "--lease", "2s"});
    charge_scene other("awaitable", {"--store", url(), "--lease", "2s"});
    auto const request = make_post("/charge?delay_ms=300", "killed-after-effect", charge_42);
    one.client.send(request);
    one.wait_until_started(1);
    shared_server().ask("ALTER TABLE idempo_records RENAME TO hidden");  // Complete is tried again and again
    poll_until([&] { return one.charged() == 1; });
    one.server.send_signal(SIGKILL);
    one.server.wait();
    shared_server().ask("ALTER TABLE hidden RENAME TO idempo_records");
    text_response answer;
    poll_until([&] {
        answer = other.client.exchange(request);
        return answer.result_int() == 201;
    });
    CHECK(is_second_attempt(answer));
    CHECK_FALSE(is_replay(answer));
    CHECK(other.charged() == 1);  // the second one
}

TEST_CASE("postgres: a process that was stopped for longer than its lease changes nothing when it goes on") {
    charge_scene one("awaitable", {"--store", url(), "--lease", "1s"});
    charge_scene other("awaitable", {"--store", url(), "--lease", "1s"});
    auto const request = make_post("/charge?delay_ms=500", "stopped", charge_42);
    one.client.send(request);
    one.wait_until_started(1);
    one.server.send_signal(SIGSTOP);
    text_response winner;
    poll_until([&] {
        winner = other.client.exchange(request);
        return winner.result_int() != 409;
    });
    CHECK(is_second_attempt(winner));
    one.server.send_signal(SIGCONT);
    auto const late = one.client.receive();
    CHECK(late.body() == winner.body());  // the stored one, not its own
    auto const replay = one.client.exchange(request);
    CHECK(is_replay(replay));
    CHECK(replay.body() == winner.body());
}

TEST_CASE("postgres: the heartbeat keeps the claim of a handler that runs three times as long as its lease") {
    charge_scene one("awaitable", {"--store", url(), "--lease", "1s"});
    charge_scene other("awaitable", {"--store", url(), "--lease", "1s"});
    auto const request = make_post("/charge?delay_ms=3500", "beats", charge_42);
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
