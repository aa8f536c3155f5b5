// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/charge_scene.hpp"
#include "support/dropped_trailers.hpp"

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <array>
#include <optional>
#include <random>
#include <string>

using namespace idempo::tests;

namespace {

/// A POST of a charge whose head has these lines besides.
std::string post_with(std::string const& lines) {
    std::string const body = charge_42;
    return "POST /charge HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
           lines + "\r\n" + body;
}

std::string chunked_with(std::string const& lines, std::string const& trailer) {
    return "POST /charge HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n" + lines +
           "\r\nd\r\n{\"amount\":42}\r\n0\r\n" + trailer + "\r\n";
}

bool is_refusal(std::optional<text_response> const& answer) {
    return !answer || (answer->result_int() >= 400 && answer->result_int() < 500);
}

/// Sends the bytes on a connection of their own: a clear 4xx or a closed connection, no execution, and the server
/// lives on.
void check_refused(charge_scene& scene, std::string const& bytes) {
    CAPTURE(bytes.substr(0, 300));
    auto const started = scene.started();
    http_client client(scene.server.port());
    client.send_raw(bytes);
    client.end_sending();
    CHECK(is_refusal(client.receive_or_closed()));
    CHECK(scene.started() == started);
    CHECK(scene.client.get("/healthz").result_int() == 200);
}

}  // namespace

TEST_CASE("charge_server: a malformed key is 400, and the connection goes on") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style);
    for (auto const& lines : {
             std::string("Idempotency-Key: a\r\nIdempotency-Key: a\r\n"),
             std::string("Idempotency-Key: a\r\nIDEMPOTENCY-KEY: b\r\n"),
             std::string("Idempotency-Key:\r\n"),
             std::string("Idempotency-Key:   \r\n"),
             std::string("Idempotency-Key: \"\"\r\n"),
             "Idempotency-Key: " + std::string(256, 'k') + "\r\n",
             "Idempotency-Key: \"" + std::string(256, 'k') + "\"\r\n",
             std::string("Idempotency-Key: a b\r\n"),
             std::string("Idempotency-Key: a, b\r\n"),
             std::string("Idempotency-Key: \"a\r\n"),
             std::string("Idempotency-Key: k\xC3\xA4se\r\n"),
             std::string("Idempotency-Key: \"k\xFFse\"\r\n"),
             std::string("Idempotency-Key: \"a\tb\"\r\n"),
         }) {
        CAPTURE(lines);
        scene.client.send_raw(post_with(lines));
        auto const answer = scene.client.receive();
        CHECK(answer.result_int() == 400);
        CHECK(answer.body().find("\"title\":\"Idempotency-Key is malformed\"") != std::string::npos);
        CHECK(answer.keep_alive());
    }
    CHECK(scene.started() == 0);
    scene.client.send_raw(post_with("Idempotency-Key: " + std::string(255, 'k') + "\r\n"));
    CHECK(scene.client.receive().result_int() == 201);
}

TEST_CASE("charge_server: control characters in a key never reach the handler") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style);
    for (int code = 0; code < 0x20; ++code) {
        if (code == '\t') continue;  // trimmed around a value, and refused inside by the test before
        check_refused(scene, post_with(std::string("Idempotency-Key: \"a") + static_cast<char>(code) + "b\"\r\n"));
    }
    check_refused(scene, post_with("Idempotency-Key: \"a\x7F"
                                   "b\"\r\n"));
}

TEST_CASE("charge_server: a key, a credential or a scope in a trailer is refused, or has no effect") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style, {"--header", "X-Pay-Key", "--scope", "header:X-Tenant"});
    std::string const head = "X-Pay-Key: a\r\nX-Tenant: one\r\n";
    constexpr auto trailers = std::to_array({"Idempotency-Key: b\r\n", "Authorization: Bearer two\r\n",
                                             "x-pay-key: b\r\n", "X-Tenant: two\r\n", "Connection: close\r\n"});
    if constexpr (drops_trailers<http::request_parser<http::string_body>>) {
        scene.client.send_raw(chunked_with(head, ""));
        CHECK(scene.client.receive().result_int() == 201);
        for (auto const* trailer : trailers) {
            CAPTURE(trailer);
            scene.client.send_raw(chunked_with(head, trailer));
            CHECK(is_replay(scene.client.receive()));
        }
        scene.client.send_raw(chunked_with("X-Tenant: one\r\n", "X-Pay-Key: a\r\n"));
        CHECK_FALSE(is_replay(scene.client.receive()));
        return;
    }
    for (auto const* trailer : trailers) check_refused(scene, chunked_with(head, trailer));
    check_refused(scene, chunked_with("X-Tenant: one\r\n", "X-Pay-Key: b\r\n"));

    scene.client.send_raw(chunked_with(head, "X-Checksum: 1\r\n"));
    CHECK(scene.client.receive().result_int() == 201);
    scene.client.send_raw(chunked_with(head, ""));
    CHECK(is_replay(scene.client.receive()));
}

TEST_CASE("charge_server: truncated and oversized messages are refused") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style);
    auto const whole = post_with("Idempotency-Key: a\r\n");
    for (std::size_t length = 1; length < whole.size(); length += 7) check_refused(scene, whole.substr(0, length));
    auto const chunked = chunked_with("Idempotency-Key: a\r\n", "");
    for (std::size_t length = 1; length < chunked.size(); length += 7) check_refused(scene, chunked.substr(0, length));

    check_refused(scene, post_with("X-Long: " + std::string(20'000, 'x') + "\r\n"));
    check_refused(scene, chunked_with("", "X-Long: " + std::string(200'000, 'x') + "\r\n"));
    check_refused(scene, "POST /charge HTTP/1.1\r\nContent-Length: 99999999999\r\nIdempotency-Key: a\r\n\r\n{}");
    check_refused(scene, "POST /charge HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n{}");
}

TEST_CASE("charge_server: input that is not HTTP, or ambiguous, is refused") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style);
    for (auto const* bytes : {
             "\r\n\r\n\r\n\r\nhello\r\n\r\n",
             "\x16\x03\x01\x02\x01\x01",
             "POST /charge HTTP/2.0\r\n\r\n",
             "POST /charge HTTP/1.1\r\nContent-Length: 13\r\nContent-Length: 14\r\n\r\n{\"amount\":42}x",
             "POST /charge HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
             "POST /charge HTTP/1.1\r\nContent-Length: 13\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
             "POST /charge HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n{\"amount\":42}",
             "POST /charge HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\nd\r\n{\"amount\":42}\r\n0\r\n\r\n",
             "POST /charge HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{\"amount\":42}\r\n0\r\n\r\n",
             "POST /charge HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{\"amount\":42}",
             "POST /charge HTTP/1.1\r\nIdempotency-Key : a\r\nContent-Length: 13\r\n\r\n{\"amount\":42}",
             "POST /charge HTTP/1.1\nContent-Length: 13\n\n{\"amount\":42}",
         }) {
        check_refused(scene, bytes);
    }
}

TEST_CASE("charge_server: deeply nested JSON is a bad order") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style);
    CHECK(scene.client.post("/charge", "", std::string(1'000'000, '[')).result_int() == 400);
    CHECK(scene.client.post("/charge", "a", "{\"amount\":" + std::string(500'000, '[')).result_int() == 400);
    CHECK(scene.client.get("/healthz").result_int() == 200);
}

TEST_CASE("charge_server: mutated requests do not harm it") {
    auto const style = each_style();
    auto const seed = std::random_device{}();
    INFO("style " << style << ", seed " << seed);
    std::mt19937 random(seed);
    charge_scene scene(style);
    auto const valid = chunked_with("Idempotency-Key: \"a\"\r\n", "X-Checksum: 1\r\n");
    for (int round = 0; round < 100; ++round) {
        auto bytes = valid;
        for (auto changes = 1 + random() % 4; changes > 0; --changes) {
            bytes[random() % bytes.size()] = static_cast<char>(random() % 256);
        }
        CAPTURE(round, bytes);
        http_client client(scene.server.port());
        client.send_raw(bytes);
        client.end_sending();
        auto const answer = client.receive_or_closed();
        // A mutation may ask for a transfer coding that nobody has.
        CHECK((!answer || answer->result_int() < 500 || answer->result_int() == 501));
    }
    CHECK(scene.client.get("/healthz").result_int() == 200);
    CHECK(scene.server.errors().empty());
}
