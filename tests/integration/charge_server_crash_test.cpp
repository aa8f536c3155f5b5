// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/charge_scene.hpp"

#include <csignal>

using namespace idempo::tests;

/// The line of docs/guarantees.md that is the memory store's own: it dies with its process.
TEST_CASE("charge_server: a killed server forgets what the memory store knew") {
    auto const style = each_style();
    CAPTURE(style);
    constexpr int killed = 128 + SIGKILL;
    auto const retry_elsewhere = [&](text_request const& request) {
        charge_scene next(style);
        auto const answer = next.client.exchange(request);
        CHECK(answer.result_int() == 201);
        CHECK_FALSE(is_replay(answer));
        CHECK(next.charged() == 1);
    };

    SECTION("before the claim: one effect, the retry's") {
        auto const request = make_post("/charge", "a", charge_42);
        {
            charge_scene scene(style);
            scene.client.send_raw(
                "POST /charge HTTP/1.1\r\nHost: a\r\nIdempotency-Key: a\r\nContent-Length: 13\r\n\r\n{");
            scene.server.send_signal(SIGKILL);
            CHECK(scene.server.wait() == killed);
            CHECK_FALSE(scene.client.receive_or_closed());
        }
        retry_elsewhere(request);
    }
    SECTION("after the claim, before the effect: one effect, the retry's") {
        auto const request = make_post("/charge?delay_ms=60000", "a", charge_42);
        {
            charge_scene scene(style);
            scene.client.send(request);
            scene.wait_until_started(1);
            CHECK(scene.charged() == 0);
            scene.server.send_signal(SIGKILL);
            CHECK(scene.server.wait() == killed);
            CHECK_FALSE(scene.client.receive_or_closed());
        }
        // The delay belongs to the target, and so to the request; what is asked here is only that the key is free.
        retry_elsewhere(make_post("/charge", "a", charge_42));
    }
    SECTION("after the effect and its record: the retry is a duplicate") {
        auto const request = make_post("/charge", "a", charge_42);
        {
            charge_scene scene(style);
            CHECK(scene.client.exchange(request).result_int() == 201);
            CHECK(scene.charged() == 1);
            scene.server.send_signal(SIGKILL);
            CHECK(scene.server.wait() == killed);
        }
        retry_elsewhere(request);
    }
}
