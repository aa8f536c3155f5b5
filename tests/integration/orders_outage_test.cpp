// SPDX-License-Identifier: MIT
#include "support/campaign.hpp"
#include "support/catch.hpp"
#include "support/http_client.hpp"
#include "support/orders_scene.hpp"
#include "support/patient_clients.hpp"
#include "support/poll_until.hpp"
#include "support/requests.hpp"

#include <csignal>
#include <cstddef>
#include <string>

using namespace idempo::tests;

// What a client of the orders service meets while Redis or PostgreSQL are away, and after that.

namespace {

void check_unavailable(text_response const& answer) {
    CHECK(answer.result_int() == 503);
    CHECK(answer.count(http::field::retry_after) == 1);
    CHECK(answer["Content-Type"] == "application/problem+json");
}

/// Tries until there is an answer other than 503.
text_response ask_patiently(orders_scene& scene, text_request const& request) {
    text_response answer;
    poll_until([&] {
        answer = scene.client.exchange(request);
        return answer.result_int() != 503;
    });
    return answer;
}

}  // namespace

TEST_CASE("orders: without Redis nothing is placed, and with it again everything is") {
    orders_stores stores;
    orders_scene scene(stores);
    auto const first = scene.client.exchange(make_order("first"));
    stores.redis.kill();
    check_unavailable(scene.client.exchange(make_order("second")));
    check_unavailable(scene.client.exchange(make_order("first")));
    CHECK(stores.orders() == 1);
    CHECK(scene.client.get("/orders").result_int() == 200);
    stores.redis.start();
    CHECK(ask_patiently(scene, make_order("second")).result_int() == 201);
    CHECK(is_replay(scene.client.exchange(make_order("first"))));
    CHECK(stores.orders() == 2);
}

TEST_CASE("orders: a transaction does not need Redis") {
    orders_stores stores;
    stores.redis.kill();
    orders_scene scene(stores, {"--transactional"});
    CHECK(scene.client.exchange(make_order("key")).result_int() == 201);
    CHECK(is_replay(scene.client.exchange(make_order("key"))));
}

TEST_CASE("orders: without PostgreSQL nothing is placed, and the key stays free") {
    auto const mode = each_orders_mode();
    CAPTURE(mode);
    orders_stores stores;
    orders_scene scene(stores, mode);
    auto const first = scene.client.exchange(make_order("first"));
    REQUIRE(first.result_int() == 201);
    stores.database.kill();
    check_unavailable(scene.client.exchange(make_order("second")));
    check_unavailable(scene.client.get("/orders"));
    CHECK(scene.client.get("/healthz").result_int() == 200);
    stores.database.start();
    auto const second = ask_patiently(scene, make_order("second", order_of(3)));  // another body: nothing was claimed
    CHECK(second.result_int() == 201);
    CHECK_FALSE(is_replay(second));
    auto const again = ask_patiently(scene, make_order("first"));
    CHECK(is_replay(again));
    CHECK(again.body() == first.body());
    CHECK(stores.orders() == 2);
}

TEST_CASE("orders: a PostgreSQL that does not answer is 503, too") {
    auto const mode = each_orders_mode();
    CAPTURE(mode);
    orders_stores const stores;
    orders_scene scene(stores, mode);
    REQUIRE(scene.client.exchange(make_order("first")).result_int() == 201);
    stores.database.send_signal(SIGSTOP);
    check_unavailable(scene.client.exchange(make_order("second")));
    stores.database.send_signal(SIGCONT);
    text_response answer;
    poll_until([&] {
        answer = scene.client.exchange(make_order("second"));
        return answer.result_int() == 201;  // 409 while the late claim is abandoned
    });
    CHECK(stores.orders() == 2);
}

TEST_CASE("orders: both servers are killed and restarted under load, and each key has one order") {
    auto const mode = each_orders_mode();
    CAPTURE(mode);
    orders_stores stores;
    orders_scene const scene(stores, mode);
    patient_clients clients(scene.server.port(), 4);
    std::size_t const between = 5;
    for (int cycle = 0; cycle < campaign_cycles(2); ++cycle) {
        auto const wait_for_more = [&, from = clients.answered()] {
            poll_until([&] { return clients.answered() >= from + between; });
        };
        wait_for_more();
        stores.redis.kill();
        auto const setbacks = clients.setbacks();
        if (mode.empty()) poll_until([&] { return clients.setbacks() > setbacks; });
        stores.redis.start();
        stores.database.kill();
        auto const more_setbacks = clients.setbacks();
        poll_until([&] { return clients.setbacks() > more_setbacks; });
        stores.database.start();
    }
    auto const answered = clients.answered();
    poll_until([&] { return clients.answered() >= answered + between; });
    clients.stop();

    auto const answers = clients.answers();
    CHECK(stores.orders() == answers.size());
    CHECK(clients.setbacks() > 0);
    for (auto const& [key, body] : answers) {
        CAPTURE(key, body);
        auto const row = stores.database.ask("SELECT id FROM orders WHERE idempotency_key = '" + key + "'");
        CHECK(body.find(row) != std::string::npos);
    }
}
