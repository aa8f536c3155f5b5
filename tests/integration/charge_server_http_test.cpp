// SPDX-License-Identifier: MIT

// What RFC 9110 and RFC 9112 ask of an origin server, of each style of session.

#include "support/catch.hpp"
#include "support/charge_scene.hpp"

#include <csignal>
#include <string>

using namespace idempo::tests;

namespace {

std::string charge(std::string const& target, std::string const& lines) {
    return "POST " + target + " HTTP/1.1\r\n" + lines + "Content-Length: 13\r\n\r\n" + charge_42;
}

}  // namespace

TEST_CASE("charge_server: a request to an absolute URI is the same as one to its path") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style);
    scene.client.send_raw(charge("/charge", "Host: shop.example\r\nIdempotency-Key: a\r\n"));
    CHECK(scene.client.receive().result_int() == 201);
    scene.client.send_raw(charge("http://shop.example/charge", "Host: proxy\r\nIdempotency-Key: a\r\n"));
    CHECK(is_replay(scene.client.receive()));
    CHECK(scene.charged() == 1);
}

TEST_CASE("charge_server: Host and transfer codings are checked") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style);
    auto const status_of = [&](std::string const& bytes) {
        http_client client(scene.server.port());
        client.send_raw(bytes);
        auto const answer = client.receive();
        CHECK(answer["Content-Type"] == "application/problem+json");
        CHECK(client.is_closed());
        return answer.result_int();
    };
    CHECK(status_of(charge("/charge", "")) == 400);
    CHECK(status_of(charge("/charge", "Host: a\r\nHost: a\r\n")) == 400);
    CHECK(status_of(charge("/charge", "Host: a b/c\r\n")) == 400);
    CHECK(status_of("POST /charge HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n") == 501);
    CHECK(status_of("POST /charge HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n") == 400);
    CHECK(scene.started() == 0);
}

TEST_CASE("charge_server: a client that waits for 100 Continue is told to go on") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style);
    auto const whole = charge("/charge", "Host: a\r\nExpect: 100-continue\r\n");
    auto const body = whole.size() - std::string(charge_42).size();
    scene.client.send_raw(whole.substr(0, body));
    CHECK(scene.client.receive_head().result_int() == 100);
    scene.client.send_raw(whole.substr(body));
    CHECK(scene.client.receive().result_int() == 201);
    // What is refused is not asked for.
    http_client refused(scene.server.port());
    refused.send_raw("POST /charge HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n");
    CHECK(refused.receive().result_int() == 413);
}

TEST_CASE("charge_server: a HEAD never has a body") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style);
    for (std::string const target : {"/charges", "/healthz", "/charge", "/nothing"}) {
        CAPTURE(target);
        scene.client.send_raw("HEAD " + target + " HTTP/1.1\r\nHost: a\r\n\r\n");
        auto const head = scene.client.receive_head();
        CHECK(head.count("Content-Length") == 1);
        // A body would be read as the beginning of the next response.
        CHECK(scene.client.get("/healthz").result_int() == 200);
    }
    http_client refused(scene.server.port());
    refused.send_raw("HEAD /charges HTTP/1.1\r\n\r\n");
    CHECK(refused.receive_head().result_int() == 400);
    CHECK(refused.is_closed());
}

TEST_CASE("charge_server: the last answer before the end says that the connection is closed") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style);
    scene.client.send(make_post("/charge?delay_ms=700", "a", charge_42));
    scene.wait_until_started(1);
    http_client idle(scene.server.port());
    scene.server.send_signal(SIGTERM);
    CHECK(idle.is_closed());  // the signal has been seen
    auto const last = scene.client.receive();
    CHECK(last.result_int() == 201);
    CHECK(last["Connection"] == "close");
    CHECK(scene.server.wait() == 0);
}

TEST_CASE("charge_server: keyed requests to wrong addresses do not fill the store") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style, {"--store", "memory:?max_records=8"});
    for (int number = 0; number < 50; ++number) {
        CHECK(scene.client.post("/no-such-path", "n" + std::to_string(number), charge_42).result_int() == 404);
        CHECK(scene.client.post("/charges", "m" + std::to_string(number), charge_42).result_int() == 405);
    }
    CHECK(scene.client.post("/charge", "a", charge_42).result_int() == 201);
    // A handler's own 404 is stored.
    CHECK(scene.client.post("/charge?status=404", "b", charge_42).result_int() == 404);
    CHECK(is_replay(scene.client.post("/charge?status=404", "b", charge_42)));
}

TEST_CASE("charge_server: a refusal reaches a client that goes on sending") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style);
    std::string const head = "POST /charge HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n";
    scene.client.send_raw(head + std::string(20'000'000, 'x'));
    CHECK(scene.client.receive().result_int() == 413);
}
