// SPDX-License-Identifier: MIT

// A client that makes its body anew for each try, over a connection.

#include "support/catch.hpp"
#include "support/charge_scene.hpp"

#include <string>
#include <string_view>

using namespace idempo::tests;

namespace {

text_request raw_post(std::string_view key, std::string_view type, std::string body) {
    auto request = make_post("/charge", std::string(key), body);
    request.set(http::field::content_type, type);
    return request;
}

text_request upload(std::string const& boundary, std::string const& amount = "4") {
    return raw_post("upload", "multipart/form-data; boundary=" + boundary,
                    "--" + boundary + "\r\nContent-Disposition: form-data; name=\"amount\"\r\n\r\n" + amount +
                        "\r\n--" + boundary + "--\r\n");
}

text_request zipped(char time) {
    // `printf '{"amount":42}' | gzip -n`, with another time
    std::string body("\x1f\x8b\x08\x00", 4);
    body += std::string(4, time);
    body += std::string(
        "\x00\x03\xab\x56\x4a\xcc\xcd\x2f\xcd\x2b\x51\xb2\x32\x31\xaa\x05\x00\xd1\x9d\x6b\x1b\x0d\x00\x00\x00", 25);
    auto request = raw_post("zipped", "application/json", body);
    request.set(http::field::content_encoding, "gzip");
    return request;
}

}  // namespace

TEST_CASE("charge_server: a retry with another boundary, or another time in gzip, is replayed") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style);
    scene.client.exchange(upload("first"));
    CHECK(is_replay(scene.client.exchange(upload("second"))));
    CHECK(scene.client.exchange(upload("third", "5")).result_int() == 422);
    scene.client.exchange(zipped('a'));
    CHECK(is_replay(scene.client.exchange(zipped('b'))));
}

TEST_CASE("charge_server: --bodies exact calls a retry with another boundary or time another request") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style, {"--bodies", "exact"});
    scene.client.exchange(upload("first"));
    CHECK(scene.client.exchange(upload("second")).result_int() == 422);
    CHECK(is_replay(scene.client.exchange(upload("first"))));
    scene.client.exchange(zipped('a'));
    CHECK(scene.client.exchange(zipped('b')).result_int() == 422);
}

TEST_CASE("charge_server: --bodies json replays JSON that means the same, and nothing else does") {
    auto const style = each_style();
    CAPTURE(style);
    auto const* const one = R"({"amount":42,"note":"a"})";
    auto const* const same = R"({ "note" : "\u0061", "amount" : 4.2e1 })";
    auto const json = GENERATE(true, false);
    charge_scene scene(style, {"--bodies", json ? "json" : "content"});
    CHECK(scene.client.exchange(raw_post("k", "application/json", one)).result_int() == 201);
    auto const answer = scene.client.exchange(raw_post("k", "application/json", same));
    CHECK(is_replay(answer) == json);
    CHECK(answer.result_int() == (json ? 201 : 422));
    CHECK(scene.client.exchange(raw_post("k", "application/json", R"({"amount":43,"note":"a"})")).result_int() == 422);
    CHECK(scene.charged() == 1);
}

TEST_CASE("charge_server: --per-endpoint gives each path keys of its own, and --guard keeps callers apart") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style, {"--per-endpoint", "--guard"});
    auto const by = [](std::string_view caller) {
        auto request = make_post("/charge", "order-1", charge_42);
        request.set(http::field::authorization, "Bearer " + std::string(caller));
        return request;
    };
    CHECK(scene.client.exchange(by("alice")).result_int() == 201);
    CHECK(scene.client.exchange(by("bob")).result_int() == 201);
    CHECK(scene.client.exchange(by("alice")).result_int() == 409);
    auto elsewhere = by("alice");
    elsewhere.target("/elsewhere");
    CHECK(scene.client.exchange(elsewhere).result_int() == 404);
    CHECK(scene.charged() == 2);
}
