// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/charge_scene.hpp"

#include <string>

using namespace idempo::tests;

TEST_CASE("charge_server: a retry gets the first answer again") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style);

    auto const first = scene.client.post("/charge", "\"a\"", charge_42);
    CHECK(first.result_int() == 201);
    CHECK(first.body().starts_with("{\"id\":\"ch_"));
    CHECK(first.body().ends_with(",\"amount\":42,\"status\":\"charged\",\"attempt\":1}"));
    CHECK(first["Location"].starts_with("/charges/ch_"));
    CHECK_FALSE(is_replay(first));

    auto const second = scene.client.post("/charge", "a", charge_42);  // the same key, unquoted
    CHECK(is_replay(second));
    CHECK(second.result_int() == 201);
    CHECK(second.body() == first.body());
    CHECK(second.reason() == first.reason());
    for (auto const& field : first) {
        CAPTURE(std::string(field.name_string()));
        CHECK(second[field.name_string()] == field.value());
    }
    CHECK(scene.charged() == 1);
}

TEST_CASE("charge_server: different keys and no key are different charges") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style);
    auto const first = scene.client.post("/charge", "a", charge_42);
    auto const other = scene.client.post("/charge", "b", charge_42);
    auto const unkeyed = scene.client.post("/charge", "", charge_42);
    auto const unkeyed_again = scene.client.post("/charge", "", charge_42);
    CHECK(first.body() != other.body());
    CHECK(unkeyed.body() != unkeyed_again.body());
    CHECK(unkeyed.result_int() == 201);
    CHECK(unkeyed.body().ends_with(",\"attempt\":1}"));
    CHECK(scene.charged() == 4);
}

TEST_CASE("charge_server: 409 with Retry-After while the first request runs") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style);
    auto const request = make_post("/charge?delay_ms=600000", "a", charge_42);
    scene.client.send(request);
    scene.wait_until_started(1);

    auto const refused = http_client(scene.server.port()).exchange(request);

    CHECK(refused.result_int() == 409);
    CHECK(refused["Retry-After"] == "1");
    CHECK(refused["Content-Type"] == "application/problem+json");
    CHECK(refused.body().find("\"title\":\"A request is outstanding for this Idempotency-Key\"") != std::string::npos);
    auto const mismatch = http_client(scene.server.port()).post("/charge", "a", charge_43);
    CHECK(mismatch.result_int() == 422);
    CHECK(scene.started() == 1);
}

TEST_CASE("charge_server: another request under the same key is 422") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style);
    scene.client.post("/charge", "a", charge_42);

    CHECK(scene.client.post("/charge", "a", charge_43).result_int() == 422);
    CHECK(scene.client.post("/charge?x=1", "a", charge_42).result_int() == 422);
    auto put = make_post("/charge", "a", charge_42);
    put.method(http::verb::put);
    CHECK(scene.client.exchange(put).result_int() == 422);
    CHECK(is_replay(scene.client.post("/charge", "a", charge_42)));
    CHECK(scene.started() == 1);
}

TEST_CASE("charge_server: a bad order is 400, and stored like any answer of the handler") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style);
    int number = 0;
    for (auto const* body : {"", "{", "[]", "42", "{}", R"({"amount":0})", R"({"amount":-1})", R"({"amount":4.2})",
                             R"({"amount":"42"})", R"({"amount":18446744073709551616})"}) {
        CAPTURE(body);
        auto const key = std::to_string(++number);
        auto const first = scene.client.post("/charge", key, body);
        CHECK(first.result_int() == 400);
        CHECK(first["Content-Type"] == "application/problem+json");
        CHECK(is_replay(scene.client.post("/charge", key, body)));
    }
    for (auto const* query :
         {"delay_ms=-1", "delay_ms=", "status=199", "status=600", "size=x", "cookie=2", "throw=up"}) {
        CAPTURE(query);
        CHECK(scene.client.post(std::string("/charge?") + query, "", charge_42).result_int() == 400);
    }
    CHECK(scene.started() == 0);
}

TEST_CASE("charge_server: GET and HEAD pass by the middleware, and unknown routes are answered") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style);
    auto get = make_post("/healthz", "a", "");
    get.method(http::verb::get);
    CHECK(scene.client.exchange(get).result_int() == 200);
    CHECK_FALSE(is_replay(scene.client.exchange(get)));
    CHECK(scene.client.get("/nothing").result_int() == 404);
    auto const wrong_method = scene.client.get("/charge");
    CHECK(wrong_method.result_int() == 405);
    CHECK(wrong_method["Allow"] == "POST, PUT, PATCH");

    auto head = get;
    head.method(http::verb::head);
    for (auto const* target : {"/healthz", "/charges", "/nothing", "/charge"}) {
        head.target(target);
        scene.client.send(head);
        CHECK(scene.client.receive_head().result_int() != 0);
    }
    CHECK(scene.client.get("/healthz").result_int() == 200);
}

TEST_CASE("charge_server: PUT and PATCH are protected like POST") {
    auto const style = each_style();
    auto const method = GENERATE(http::verb::put, http::verb::patch);
    CAPTURE(style, method);
    charge_scene scene(style);
    auto request = make_post("/charge", "a", charge_42);
    request.method(method);
    CHECK(scene.client.exchange(request).result_int() == 201);
    CHECK(is_replay(scene.client.exchange(request)));
    CHECK(scene.charged() == 1);
}

TEST_CASE("charge_server: some statuses release the key, the others are stored") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style);
    std::size_t charged = 0;
    for (auto const status : {"401", "403", "408", "425", "429", "500", "503", "599"}) {
        CAPTURE(status);
        auto const target = std::string("/charge?status=") + status;
        CHECK(scene.client.post(target, status, charge_42).result_int() == std::stoul(status));
        CHECK_FALSE(is_replay(scene.client.post(target, status, charge_42)));
        CHECK(scene.charged() == (charged += 2));
    }
    for (auto const status : {"200", "204", "205", "301", "304", "400", "402", "404", "422", "499"}) {
        CAPTURE(status);
        auto const target = std::string("/charge?status=") + status;
        auto const first = scene.client.post(target, status, charge_42);
        auto const second = scene.client.post(target, status, charge_42);
        CHECK(first.result_int() == std::stoul(status));
        CHECK(second.result_int() == std::stoul(status));
        CHECK(is_replay(second));
        CHECK(second.body() == first.body());
        CHECK(scene.charged() == ++charged);
    }
}

TEST_CASE("charge_server: a large answer is replayed whole, an oversized one leaves a tombstone") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style);

    auto const large = scene.client.post("/charge?size=1000000", "large", charge_42);
    CHECK(large.body().size() > 1'000'000);
    auto const again = scene.client.post("/charge?size=1000000", "large", charge_42);
    CHECK(is_replay(again));
    CHECK((again.body() == large.body()));

    auto const oversized = scene.client.post("/charge?size=2000000", "oversized", charge_42);
    CHECK(oversized.result_int() == 201);
    CHECK(oversized.body().size() > 2'000'000);
    auto const refused = scene.client.post("/charge?size=2000000", "oversized", charge_42);
    CHECK(refused.result_int() == 409);
    CHECK(refused.body().find("urn:idempo:problem:response-not-retained") != std::string::npos);
    CHECK(refused.body().find("\"original_status\":201") != std::string::npos);
    CHECK(scene.charged() == 2);
}

TEST_CASE("charge_server: a cookie is for the first client only") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style);
    auto const first = scene.client.post("/charge?cookie=1", "a", charge_42);
    auto const second = scene.client.post("/charge?cookie=1", "a", charge_42);
    CHECK(first.count("Set-Cookie") == 1);
    CHECK(is_replay(second));
    CHECK(second.count("Set-Cookie") == 0);
}

TEST_CASE("charge_server: 413 for a keyed body over a mebibyte, and for any body over eight") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style);
    auto const body_of = [](std::size_t size) {
        return charge_42 + std::string(size - std::string(charge_42).size(), ' ');
    };
    constexpr std::size_t mebibyte = std::size_t{1} << 20;

    CHECK(scene.client.post("/charge", "a", body_of(mebibyte)).result_int() == 201);
    auto const refused = scene.client.post("/charge", "b", body_of(mebibyte + 1));
    CHECK(refused.result_int() == 413);
    CHECK(refused.keep_alive());
    CHECK(scene.client.post("/charge", "", body_of(8 * mebibyte)).result_int() == 201);
    CHECK(scene.charged() == 2);

    http_client other(scene.server.port());
    other.send(make_post("/charge", "c", body_of(8 * mebibyte + 1)));
    auto const too_much = other.receive();
    CHECK(too_much.result_int() == 413);
    CHECK_FALSE(too_much.keep_alive());
    CHECK(other.is_closed());
    CHECK(scene.charged() == 2);
}
