// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/charge_scene.hpp"

#include <boost/beast/http/write.hpp>
#include <boost/system/system_error.hpp>

#include <csignal>
#include <list>
#include <optional>
#include <sstream>
#include <string>

using namespace idempo::tests;

namespace {

template <class Message>
std::string raw(Message const& message) {
    std::ostringstream out;
    out << message;
    return out.str();
}

/// With one thread the callback style knows the type of its executor; with more it needs strands.
std::string each_thread_count() { return GENERATE(as<std::string>{}, "1", "2"); }

}  // namespace

TEST_CASE("charge_server: a client that is gone in mid-handler finds its charge made once") {
    auto const style = each_style();
    auto const threads = each_thread_count();
    CAPTURE(style, threads);
    charge_scene scene(style, {"--threads", threads});
    auto const request = make_post("/charge?delay_ms=200", "a", charge_42);
    scene.client.send(request);
    scene.wait_until_started(1);

    scene.client.reset();
    poll_until([&] { return scene.charged() == 1; });

    http_client again(scene.server.port());
    std::optional<text_response> retried;
    // The effect comes just before its answer is stored: until then it is 409.
    poll_until([&] { return (retried = again.exchange(request))->result_int() != 409; });
    CHECK(retried->result_int() == 201);
    CHECK(is_replay(*retried));
    CHECK(scene.charged() == 1);
    CHECK(scene.started() == 1);
}

TEST_CASE("charge_server: SIGTERM lets a running charge end, and its client gets the answer") {
    auto const style = each_style();
    auto const key = GENERATE(as<std::string>{}, "a", "");
    auto const threads = each_thread_count();
    CAPTURE(style, key, threads);
    charge_scene scene(style, {"--threads", threads});
    http_client idle(scene.server.port());
    scene.client.send(make_post("/charge?delay_ms=700", key, charge_42));
    scene.wait_until_started(1);

    scene.server.send_signal(SIGTERM);

    CHECK(scene.client.receive().result_int() == 201);
    CHECK(scene.client.is_closed());
    CHECK(idle.is_closed());
    CHECK(scene.server.wait() == 0);
    CHECK(scene.server.errors().empty());
}

TEST_CASE("charge_server: requests that outlast the drain are given up, with exit 0") {
    std::list<charge_scene> scenes;  // all styles at once, since each takes ten seconds
    for (auto const* style : {"sync", "callback", "awaitable"}) {
        auto& scene = scenes.emplace_back(style);
        scene.client.send(make_post("/charge?delay_ms=600000", "a", charge_42));
        scene.wait_until_started(1);
        scene.server.send_signal(SIGTERM);
    }
    for (auto& scene : scenes) {
        CHECK(scene.server.wait() == 0);
        CHECK(scene.server.errors() == "charge_server: gave up on 1 connections\n");
    }
}

TEST_CASE("charge_server: a second signal does not wait") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style);
    http_client idle(scene.server.port());
    scene.client.send(make_post("/charge?delay_ms=600000", "a", charge_42));
    scene.wait_until_started(1);
    scene.server.send_signal(SIGTERM);
    CHECK(idle.is_closed());  // the first signal has been seen
    scene.server.send_signal(SIGTERM);
    CHECK(scene.server.wait() == 128 + SIGTERM);
}

TEST_CASE("charge_server: pipelined requests are answered in order") {
    auto const style = each_style();
    auto const threads = each_thread_count();
    CAPTURE(style, threads);
    charge_scene scene(style, {"--threads", threads});
    std::string bytes;
    for (int amount = 1; amount <= 20; ++amount) {
        auto const delay = amount % 5 == 0 ? "/charge?delay_ms=20" : "/charge";
        bytes += raw(make_post(delay, std::to_string(amount), "{\"amount\":" + std::to_string(amount) + "}"));
    }
    scene.client.send_raw(bytes);
    for (int amount = 1; amount <= 20; ++amount) {
        auto const answer = scene.client.receive();
        CHECK(answer.result_int() == 201);
        CHECK(answer.body().find("\"amount\":" + std::to_string(amount) + ",") != std::string::npos);
    }
    CHECK(scene.charged() == 20);
}

TEST_CASE("charge_server: HTTP/1.0 is answered and closed, first answer and replay") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style);
    auto request = make_post("/charge", "a", charge_42);
    request.version(10);
    for (bool const replay : {false, true}) {
        http_client client(scene.server.port());
        auto const answer = client.exchange(request);
        CHECK(answer.version() == 10);
        CHECK(answer.result_int() == 201);
        CHECK(is_replay(answer) == replay);
        CHECK(client.is_closed());
    }
    request.keep_alive(true);
    auto const kept = scene.client.exchange(request);
    CHECK(kept.version() == 10);
    CHECK(kept.keep_alive());
    CHECK(scene.client.exchange(request).result_int() == 201);
}

TEST_CASE("charge_server: Connection: close is obeyed, and keep-alive restored on a replay") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style);
    auto request = make_post("/charge", "a", charge_42);
    request.keep_alive(false);
    http_client closing(scene.server.port());
    CHECK_FALSE(closing.exchange(request).keep_alive());
    CHECK(closing.is_closed());
    request.keep_alive(true);
    CHECK(scene.client.exchange(request).keep_alive());
    CHECK(is_replay(scene.client.exchange(request)));
}

TEST_CASE("charge_server: connections beyond --max-connections are refused, and others served later") {
    auto const style = each_style();
    auto const threads = each_thread_count();
    CAPTURE(style, threads);
    server_process server({"--style", style, "--threads", threads, "--max-connections", "2"});
    http_client first(server.port());
    http_client second(server.port());
    CHECK(first.get("/healthz").result_int() == 200);
    CHECK(second.get("/healthz").result_int() == 200);

    http_client refused(server.port());
    auto const answer = refused.receive_or_closed();
    CHECK((!answer || answer->result_int() == 503));
    CHECK(first.get("/healthz").result_int() == 200);

    second.reset();
    poll_until([&] {
        http_client other(server.port());
        try {
            return other.get("/healthz").result_int() == 200;
        } catch (boost::system::system_error const&) {
            return false;
        }
    });
}

TEST_CASE("charge_server: a chunked request is the same as one with its length") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style);
    std::string const head = "POST /charge HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: a\r\n";
    scene.client.send_raw(head + "Content-Length: 13\r\n\r\n" + "{\"amount\":42}");
    auto const first = scene.client.receive();
    REQUIRE(first.result_int() == 201);
    scene.client.send_raw(head + "Transfer-Encoding: chunked\r\n\r\n"
                                 "5\r\n{\"amo\r\n8\r\nunt\":42}\r\n0\r\n\r\n");
    auto const second = scene.client.receive();
    CHECK(is_replay(second));
    CHECK(second.body() == first.body());
}
