// SPDX-License-Identifier: MIT

// https://fetch.spec.whatwg.org, section 3.3: the HTTP-CORS protocol.

#include <idempo/layers/cors.hpp>

#include "support/catch.hpp"
#include "support/requests.hpp"

#include <stdexcept>
#include <string>
#include <utility>

namespace {

using namespace idempo::tests;
using idempo::cors_options;

std::string const origin = "https://shop.example";

/// What a page gets; the handler answers 201, and varies by something else already.
text_response answer(cors_options options, text_request request) {
    auto const handle = idempo::cors(std::move(options)) | [](text_request const&) {
        text_response response{http::status::created, 11};
        response.set("Vary", "Accept");
        response.set("Access-Control-Allow-Origin", "https://handler.example");
        return response;
    };
    return handle(std::move(request));
}

text_request request_of(std::string_view from, http::verb method = http::verb::post) {
    text_request request{method, "/orders", 11};
    request.set("Origin", from);
    return request;
}

text_request preflight_of(std::string_view from) {
    auto request = request_of(from, http::verb::options);
    request.set("Access-Control-Request-Method", "POST");
    request.set("Access-Control-Request-Headers", "idempotency-key,x-signature");
    return request;
}

bool varies_by_origin(text_response const& response) {
    auto const lines = response.equal_range("Vary");
    for (auto line = lines.first; line != lines.second; ++line) {
        if (line->value() == "Origin") return true;
    }
    return false;
}

}  // namespace

TEST_CASE("cors: a preflight of a listed origin is answered without the handler", "[cors]") {
    auto const response = answer({.origins = {"https://other.example", origin}}, preflight_of(origin));
    CHECK(response.result_int() == 204);
    CHECK(response["Access-Control-Allow-Origin"] == origin);
    CHECK(response["Access-Control-Allow-Methods"] == "GET, HEAD, POST, PUT, PATCH, DELETE");
    CHECK(response["Access-Control-Allow-Headers"] ==
          "Content-Type, Idempotency-Key, X-Signature, X-Timestamp, Authorization");
    CHECK(response["Access-Control-Max-Age"] == "600");
    CHECK(response.count("Access-Control-Allow-Credentials") == 0);
    CHECK(response.count("Access-Control-Expose-Headers") == 0);
    CHECK(response.body().empty());
    CHECK(varies_by_origin(response));
}

TEST_CASE("cors: no origin is allowed that is not in the list, letter by letter", "[cors]") {
    for (auto const* other : {"https://shop.example.evil.example", "http://shop.example", "https://shop.example:8443",
                              "https://SHOP.example", "null", "", "https://shop.example/"}) {
        INFO(other);
        auto const preflight = answer({.origins = {origin}, .credentials = true}, preflight_of(other));
        CHECK(preflight.result_int() == 403);
        CHECK(preflight.count("Access-Control-Allow-Origin") == 0);
        CHECK(preflight.count("Access-Control-Allow-Methods") == 0);
        CHECK(varies_by_origin(preflight));
        auto const response = answer({.origins = {origin}, .credentials = true}, request_of(other));
        CHECK(response.result_int() == 201);  // also its own pages send an origin
        CHECK(response["Access-Control-Allow-Origin"] != other);
        CHECK(response.count("Access-Control-Allow-Credentials") == 0);
        CHECK(varies_by_origin(response));
    }
    auto twice = preflight_of(origin);
    twice.insert("Origin", "https://evil.example");
    CHECK(answer({.origins = {origin}}, twice).result_int() == 403);
}

TEST_CASE("cors: a listed origin's scripts read the response and the fields that say what happened", "[cors]") {
    auto const response = answer({.origins = {origin}, .credentials = true}, request_of(origin));
    CHECK(response.result_int() == 201);
    CHECK(response["Access-Control-Allow-Origin"] == origin);
    CHECK(response.count("Access-Control-Allow-Origin") == 1);
    CHECK(response["Access-Control-Allow-Credentials"] == "true");
    for (auto const* field : {"Idempotency-Replayed", "Retry-After", "RateLimit-Remaining", "X-RateLimit-Remaining"}) {
        CHECK(response["Access-Control-Expose-Headers"].find(field) != boost::beast::string_view::npos);
    }
    CHECK(response.count("Vary") == 2);
}

TEST_CASE("cors: every origin, without credentials", "[cors]") {
    auto const response = answer({.origins = {"*"}}, request_of("https://anybody.example"));
    CHECK(response["Access-Control-Allow-Origin"] == "*");
    CHECK(response["Vary"] == "Accept");
    CHECK(response.count("Vary") == 1);
}

TEST_CASE("cors: an OPTIONS that is no preflight, a request without origin and an upgrade go to the handler",
          "[cors]") {
    CHECK(answer({.origins = {origin}}, request_of(origin, http::verb::options)).result_int() == 201);
    text_request const get{http::verb::get, "/", 11};
    auto const plain = answer({.origins = {origin}}, get);
    CHECK(plain.result_int() == 201);
    CHECK(varies_by_origin(plain));
    CHECK(plain.count("Access-Control-Expose-Headers") == 0);

    auto upgrade = request_of(origin, http::verb::get);
    upgrade.set("Upgrade", "websocket");
    upgrade.set("Connection", "Upgrade");
    auto const response = answer({.origins = {origin}}, upgrade);
    CHECK(response["Access-Control-Allow-Origin"] == "https://handler.example");
    CHECK_FALSE(varies_by_origin(response));
}

TEST_CASE("cors: options that make no sense throw", "[cors]") {
    CHECK_THROWS_AS(idempo::cors({}), std::invalid_argument);
    CHECK_THROWS_AS(idempo::cors({.origins = {"*"}, .credentials = true}), std::invalid_argument);
    CHECK_THROWS_AS(idempo::cors({.origins = {"*", origin}}), std::invalid_argument);
    CHECK_THROWS_AS(idempo::cors({.origins = {"https://*.example"}}), std::invalid_argument);
    CHECK_THROWS_AS(idempo::cors({.origins = {"https://shop.example/"}}), std::invalid_argument);
    CHECK_THROWS_AS(idempo::cors({.origins = {"shop.example"}}), std::invalid_argument);
    CHECK_THROWS_AS(idempo::cors({.origins = {origin}, .headers = {"X: Y"}}), std::invalid_argument);
}

TEST_CASE("cors: origins are brought into the form in which browsers send them", "[cors]") {
    struct example {
        std::string written;
        std::string sent;
    };
    for (auto const& [written, sent] :
         {example{"https://Shop.Example", "https://shop.example"},
          example{"HTTPS://shop.example", "https://shop.example"},
          example{"https://shop.example:443", "https://shop.example"}, example{"http://a:80", "http://a"},
          example{"https://a:80", "https://a:80"}, example{"http://a:08080", "http://a:8080"},
          example{"http://[::0:1]:3000", "http://[::1]:3000"},
          example{"http://127.0.0.1:3000", "http://127.0.0.1:3000"},
          example{"chrome-extension://abcdef", "chrome-extension://abcdef"},
          example{"http://localhost", "http://localhost"}}) {
        CAPTURE(written);
        auto const response = answer({.origins = {written}}, request_of(sent));
        CHECK(response["Access-Control-Allow-Origin"] == sent);
    }
}

TEST_CASE("cors: origins that no browser sends are refused", "[cors]") {
    for (std::string const written : {"https://user@shop.example",
                                      "https://user:word@shop.example",
                                      "https://shop.example?x",
                                      "https://shop.example#x",
                                      "https://shop.example/",
                                      "https://shop.example:",
                                      "https://shop.example:65536",
                                      "https://shop.example:x",
                                      "https://",
                                      "https://:443",
                                      "://a",
                                      "https://127.1",
                                      "https://1",
                                      "http://[::1",
                                      "http://[::1%25lo]",
                                      "http://[a]",
                                      "https://caf\xc3\xa9.example",
                                      "https://a b",
                                      "null",
                                      "https://a,b",
                                      "ht tp://a"}) {
        CAPTURE(written);
        CHECK_THROWS_AS(idempo::cors({.origins = {written}}), std::invalid_argument);
    }
}

TEST_CASE("cors: the layer gives its fields to an answer that no handler made", "[cors]") {
    auto const layer = idempo::cors({.origins = {origin}, .credentials = true});
    auto const allowed = [&layer](std::string_view from) {
        text_response refused{http::status::payload_too_large, 11};
        layer.allow(request_of(from), refused);
        return refused;
    };
    auto const response = allowed(origin);
    CHECK(response["Access-Control-Allow-Origin"] == origin);
    CHECK(response["Access-Control-Allow-Credentials"] == "true");
    CHECK(response.count("Access-Control-Expose-Headers") == 1);
    CHECK(varies_by_origin(response));
    CHECK(allowed("https://evil.example").count("Access-Control-Allow-Origin") == 0);
    CHECK(varies_by_origin(allowed("https://evil.example")));
}
