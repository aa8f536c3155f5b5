// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/charge_scene.hpp"
#include "support/poll_until.hpp"

#include <string>

using namespace idempo::tests;

TEST_CASE("charge_server: --methods") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style, {"--methods", "PUT,DELETE"});
    auto put = make_post("/charge", "a", charge_42);
    put.method(http::verb::put);
    scene.client.exchange(put);
    CHECK(is_replay(scene.client.exchange(put)));
    scene.client.post("/charge", "a", charge_42);
    CHECK_FALSE(is_replay(scene.client.post("/charge", "a", charge_42)));
    CHECK(scene.charged() == 3);
}

TEST_CASE("charge_server: --header") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style, {"--header", "X-Request-Key"});
    field_list const key{{"x-request-key", "a"}};
    scene.client.post("/charge", "", charge_42, key);
    CHECK(is_replay(scene.client.post("/charge", "", charge_42, key)));
    scene.client.post("/charge", "b", charge_42);
    CHECK_FALSE(is_replay(scene.client.post("/charge", "b", charge_42)));
}

TEST_CASE("charge_server: --require-key") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style, {"--require-key"});
    auto const refused = scene.client.post("/charge", "", charge_42);
    CHECK(refused.result_int() == 400);
    CHECK(refused.body().find("\"title\":\"Idempotency-Key is missing\"") != std::string::npos);
    CHECK(scene.client.post("/charge", "a", charge_42).result_int() == 201);
    CHECK(scene.client.get("/healthz").result_int() == 200);
    CHECK(scene.charged() == 1);
}

TEST_CASE("charge_server: --guard refuses a used key, and forgets it where the answer was no success") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style, {"--guard"});
    CHECK(scene.client.post("/charge", "a", charge_42).result_int() == 201);
    CHECK(scene.client.post("/charge", "a", charge_42).result_int() == 409);
    CHECK(scene.client.post("/charge", "a", charge_43).result_int() == 409);
    CHECK(scene.client.post("/charge?status=402", "b", charge_42).result_int() == 402);
    CHECK(scene.client.post("/charge", "b", charge_42).result_int() == 201);
    CHECK(scene.charged() == 3);
}

TEST_CASE("charge_server: --profile stripe") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style, {"--profile", "stripe"});
    auto const first = scene.client.post("/charge?status=500", "a", charge_42);
    CHECK(first.result_int() == 500);
    auto const second = scene.client.post("/charge?status=500", "a", charge_42);
    CHECK(second.result_int() == 500);
    CHECK(second.body() == first.body());
    CHECK(second["Idempotent-Replayed"] == "true");
    CHECK(second["Original-Request"] == first["Request-Id"]);
    CHECK_FALSE(is_replay(second));

    auto const mismatch = scene.client.post("/charge", "a", charge_43);
    CHECK(mismatch.result_int() == 400);
    CHECK(mismatch.body().starts_with(R"({"error":{"type":"idempotency_error")"));
    CHECK(scene.charged() == 1);

    auto const thrown = scene.client.post("/charge?throw=after", "b", charge_42);
    CHECK(thrown.result_int() == 500);
    CHECK(thrown.body().starts_with(R"({"error":{"type":"api_error")"));
    auto const stored = scene.client.post("/charge?throw=after", "b", charge_42);
    CHECK(stored["Idempotent-Replayed"] == "true");
    CHECK(stored.body() == thrown.body());
    CHECK(scene.charged() == 2);

    scene.client.send(make_post("/charge?delay_ms=600000", "c", charge_42));
    scene.wait_until_started(3);
    auto const in_flight = http_client(scene.server.port()).post("/charge?delay_ms=600000", "c", charge_42);
    CHECK(in_flight.result_int() == 409);
    CHECK(in_flight.body().starts_with(R"({"error":{"type":"idempotency_error")"));
}

TEST_CASE("charge_server: a handler that throws answers 500, and --on-throw release forgets the claim") {
    auto const style = each_style();
    auto const when = GENERATE(as<std::string>{}, "before", "after");
    auto const delay = GENERATE(as<std::string>{}, "", "&delay_ms=10");
    CAPTURE(style, when, delay);
    charge_scene scene(style);
    auto const target = "/charge?throw=" + when + delay;
    for (std::size_t attempt = 1; attempt <= 2; ++attempt) {
        auto const thrown = scene.client.post(target, "a", charge_42);
        CHECK(thrown.result_int() == 500);
        CHECK(thrown["Content-Type"] == "application/problem+json");
        CHECK_FALSE(is_replay(thrown));
        CHECK(scene.started() == attempt);
        CHECK(scene.charged() == (when == "after" ? attempt : 0));
    }
}

TEST_CASE("charge_server: --on-throw store-500 answers the same 500 again") {
    auto const style = each_style();
    auto const when = GENERATE(as<std::string>{}, "before", "after");
    auto const delay = GENERATE(as<std::string>{}, "", "&delay_ms=10");
    CAPTURE(style, when, delay);
    charge_scene scene(style, {"--on-throw", "store-500"});
    auto const target = "/charge?throw=" + when + delay;
    auto const first = scene.client.post(target, "a", charge_42);
    auto const second = scene.client.post(target, "a", charge_42);
    CHECK(first.result_int() == 500);
    CHECK(second.result_int() == 500);
    CHECK(is_replay(second));
    CHECK(scene.started() == 1);
}

TEST_CASE("charge_server: --on-throw hold keeps the claim to the end of its lease") {
    auto const style = each_style();
    CAPTURE(style);
    for (auto const* target : {"/charge?throw=after", "/charge?throw=after&delay_ms=1"}) {
        CAPTURE(target);
        charge_scene scene(style, {"--on-throw", "hold", "--lease", "1h"});
        CHECK(scene.client.post(target, "a", charge_42).result_int() == 500);
        CHECK(scene.client.post(target, "a", charge_42).result_int() == 409);
        CHECK(scene.charged() == 1);
    }
    charge_scene scene(style, {"--on-throw", "hold", "--lease", "50ms"});
    CHECK(scene.client.post("/charge?throw=after", "a", charge_42).result_int() == 500);
    poll_until([&] { return scene.client.post("/charge?throw=after", "a", charge_42).result_int() == 500; });
    CHECK(scene.charged() == 2);
}

TEST_CASE("charge_server: --no-middleware serves the same routes without idempotency") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style, {"--no-middleware"});
    auto const first = scene.client.post("/charge?delay_ms=1", "a", charge_42);
    auto const second = scene.client.post("/charge", "a", charge_42);
    CHECK(first.result_int() == 201);
    CHECK(second.result_int() == 201);
    CHECK(first.body() != second.body());
    CHECK(scene.client.post("/charge", "a", "{}").result_int() == 400);
    CHECK(scene.client.post("/charge?throw=after", "a", charge_42).result_int() == 500);
    CHECK(scene.client.post("/charge?throw=before&delay_ms=1", "a", charge_42).result_int() == 500);
    CHECK(scene.client.get("/nothing").result_int() == 404);
    CHECK(scene.charged() == 3);
}

TEST_CASE("charge_server: --wait holds a retry until the first request is done") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style, {"--wait", "1h"});
    auto const request = make_post("/charge?delay_ms=300", "a", charge_42);
    scene.client.send(request);
    scene.wait_until_started(1);
    auto const retried = http_client(scene.server.port()).exchange(request);
    auto const first = scene.client.receive();
    CHECK(is_replay(retried));
    CHECK_FALSE(is_replay(first));
    CHECK(retried.body() == first.body());
    CHECK(scene.charged() == 1);
}

TEST_CASE("charge_server: after --retention a retry is a new request") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style, {"--retention", "50ms"});
    auto const first = scene.client.post("/charge", "a", charge_42);
    poll_until([&] { return scene.client.post("/charge", "a", charge_42).body() != first.body(); });
    CHECK(scene.charged() >= 2);
}

TEST_CASE("charge_server: without a heartbeat the lease of a slow charge ends, and a retry takes over") {
    auto const style = GENERATE(as<std::string>{}, "callback", "awaitable");
    CAPTURE(style);
    charge_scene scene(style, {"--lease", "100ms", "--heartbeat", "off"});
    auto const slow = make_post("/charge?delay_ms=3000", "a", charge_42);
    scene.client.send(slow);
    scene.wait_until_started(1);

    http_client other(scene.server.port());
    auto retried = other.exchange(slow);
    poll_until([&] { return (retried = other.exchange(slow)).result_int() != 409; });

    CHECK(scene.client.receive().result_int() == 409);  // fenced: the answer that counts is the other's
    CHECK(retried.result_int() == 201);
    CHECK(retried.body().ends_with("\"attempt\":2}"));
    CHECK(scene.charged() == 2);
    CHECK(http_client(scene.server.port()).exchange(slow).body() == retried.body());
}

TEST_CASE("charge_server: with the heartbeat a slow charge keeps its claim") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style, {"--lease", "900ms", "--heartbeat", "on"});
    auto const slow = make_post("/charge?delay_ms=2000", "a", charge_42);
    scene.client.send(slow);
    scene.wait_until_started(1);

    http_client other(scene.server.port());
    auto retried = other.exchange(slow);
    poll_until([&] { return (retried = other.exchange(slow)).result_int() != 409; });

    auto const first = scene.client.receive();
    CHECK(first.result_int() == 201);
    CHECK(is_replay(retried));
    CHECK(retried.body() == first.body());
    CHECK(scene.charged() == 1);
}

TEST_CASE("charge_server: --scope credential takes another credential for another request") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style, {"--scope", "credential"});
    auto const credential = GENERATE(as<std::string>{}, "Authorization", "X-Api-Key");
    scene.client.post("/charge", "a", charge_42, {{credential, "Bearer one"}});
    CHECK(is_replay(scene.client.post("/charge", "a", charge_42, {{credential, "Bearer one"}})));
    CHECK(scene.client.post("/charge", "a", charge_42, {{credential, "Bearer two"}}).result_int() == 422);
    CHECK(scene.client.post("/charge", "a", charge_42).result_int() == 422);
    CHECK(scene.charged() == 1);
}

TEST_CASE("charge_server: --scope single shares the keys of all callers") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style, {"--scope", "single"});
    scene.client.post("/charge", "a", charge_42, {{"Authorization", "Bearer one"}});
    CHECK(is_replay(scene.client.post("/charge", "a", charge_42, {{"Authorization", "Bearer two"}})));
}

TEST_CASE("charge_server: --scope header gives each caller keys of its own") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style, {"--scope", "header:X-Tenant"});
    auto const one = scene.client.post("/charge", "a", charge_42, {{"X-Tenant", "one"}});
    auto const two = scene.client.post("/charge", "a", charge_43, {{"x-tenant", "two"}});
    CHECK(one.result_int() == 201);
    CHECK(two.result_int() == 201);
    CHECK(is_replay(scene.client.post("/charge", "a", charge_42, {{"X-Tenant", "one"}})));
    CHECK(scene.client.post("/charge", "a", charge_42).result_int() == 403);
    CHECK(scene.client.post("/charge", "a", charge_42, {{"X-Tenant", ""}}).result_int() == 403);
    CHECK(scene.client.post("/charge", "a", charge_42, {{"X-Tenant", "one"}, {"X-Tenant", "two"}}).result_int() == 403);
    CHECK(scene.charged() == 2);
}

TEST_CASE("charge_server: --store memory with room for one record refuses the second") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style, {"--store", "memory:?max_records=1"});
    CHECK(scene.client.post("/charge", "a", charge_42).result_int() == 201);
    auto const refused = scene.client.post("/charge", "b", charge_42);
    CHECK(refused.result_int() == 503);
    CHECK(refused["Retry-After"] == "1");
    CHECK(is_replay(scene.client.post("/charge", "a", charge_42)));
    CHECK(scene.charged() == 1);
}

TEST_CASE("charge_server: --log tells what happened, and neither key nor body") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style, {"--log"});
    scene.client.post("/charge", "a-secret-key", charge_42);
    scene.client.post("/charge", "a-secret-key", charge_42);
    scene.client.post("/charge", "a-secret-key", charge_43);
    auto const log = scene.server.errors();
    CHECK(log.find("executed") != std::string::npos);
    CHECK(log.find("replayed") != std::string::npos);
    CHECK(log.find("mismatch") != std::string::npos);
    CHECK(log.find("secret") == std::string::npos);
    CHECK(log.find("amount") == std::string::npos);
}
