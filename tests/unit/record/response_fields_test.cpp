// SPDX-License-Identifier: MIT

// Fields for a response that only its generator knows.

#include <idempo/record/response_fields.hpp>

#include "support/catch.hpp"
#include "support/requests.hpp"

#include <idempo/record/raw_response.hpp>

#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/http/chunk_encode.hpp>
#include <boost/beast/http/empty_body.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace idempo::tests;
using idempo::detail::response_fields;

response_fields some_fields() {
    response_fields fields;
    fields.set("RateLimit-Limit", "10");
    fields.add("Vary", "Origin");
    return fields;
}

http::message_generator raw(std::string_view bytes) {
    return idempo::detail::make_raw_response({{bytes.begin(), bytes.end()}, {}, {}}, true);
}

}  // namespace

TEST_CASE("response_fields: a response becomes a generator of the bytes that Beast sends", "[response_fields]") {
    text_response response{http::status::created, 11};
    response.set("X-First", "1");
    response.body() = "a body";
    SECTION("without a length") {}
    SECTION("with a length") { response.prepare_payload(); }
    SECTION("with a reason of its own") { response.reason("Done"); }
    SECTION("of a status without a name") { response.result(299U); }
    SECTION("with a list of values") {
        response.insert("Link", "</1>");
        response.insert("Link", "</2>");
    }
    SECTION("with more fields than a generator has buffers for") {
        for (int i = 0; i < 100; ++i) response.set("X-" + std::to_string(i), "value");
    }
    SECTION("with a large body") { response.body().assign(300'000, 'x'); }
    SECTION("chunked") { response.chunked(true); }
    SECTION("as the last of its connection") { response.keep_alive(false); }
    SECTION("of HTTP/1.0") {
        response.version(10);
        response.keep_alive(true);
    }
    SECTION("without a body") {
        response.result(http::status::no_content);
        response.body().clear();
    }
    http::message_generator expected(text_response{response});
    auto found = idempo::detail::to_generator(response);
    CHECK(found.keep_alive() == expected.keep_alive());
    CHECK(bytes_of(std::move(found)) == bytes_of(std::move(expected)));
}

TEST_CASE("response_fields: set replaces, add joins, the rest stays byte for byte", "[response_fields]") {
    text_response response{http::status::created, 11};
    response.set("X-First", "1");
    response.set("ratelimit-limit", "99");
    response.set("Vary", "Accept");
    response.body() = "RateLimit-Limit: 98\r\n\r\n";
    response.prepare_payload();
    CHECK(bytes_of(some_fields().applied_to(http::message_generator(std::move(response)))) ==
          "HTTP/1.1 201 Created\r\nX-First: 1\r\nVary: Accept\r\nContent-Length: 23\r\n"
          "RateLimit-Limit: 10\r\nVary: Origin\r\n\r\nRateLimit-Limit: 98\r\n\r\n");
}

TEST_CASE("response_fields: keeps what the generator says of the connection", "[response_fields]") {
    for (bool const keep_alive : {true, false}) {
        http::response<http::empty_body> response{http::status::no_content, 11};
        response.keep_alive(keep_alive);
        CHECK(some_fields().applied_to(http::message_generator(std::move(response))).keep_alive() == keep_alive);
    }
}

TEST_CASE("response_fields: a long body goes through, chunked or not", "[response_fields]") {
    text_response response{http::status::ok, 11};
    response.body().assign(300'000, 'x');
    SECTION("with a length") { response.prepare_payload(); }
    SECTION("chunked") { response.chunked(true); }
    auto const received = read(some_fields().applied_to(http::message_generator(std::move(response))));
    CHECK(received.body() == std::string(300'000, 'x'));
    CHECK(received["RateLimit-Limit"] == "10");
}

TEST_CASE("response_fields: what follows the head is sent in one write with it", "[response_fields]") {
    // A second small write would wait for the peer's delayed acknowledgement of the first, for 40 ms.
    text_response response{http::status::ok, 11};
    response.body() = "a body";
    response.prepare_payload();
    auto message = some_fields().applied_to(http::message_generator(std::move(response)));
    idempo::error_code error;
    auto const first_write = boost::beast::buffers_to_string(message.prepare(error));
    CHECK_FALSE(error);
    CHECK(first_write.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(first_write.ends_with("\r\n\r\na body"));
    message.consume(first_write.size());
    CHECK(bytes_of(std::move(message)).empty());
}

TEST_CASE("response_fields: an error behind the head comes after the head", "[response_fields]") {
    auto const bytes = std::string("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    auto const failure = make_error_code(boost::system::errc::io_error);
    auto rest = idempo::detail::make_raw_response({{}, {}, failure}, true);
    auto message = some_fields().applied_to(
        idempo::detail::make_raw_response({{bytes.begin(), bytes.end()}, std::move(rest), {}}, true));
    std::string sent;
    idempo::error_code error;
    while (!message.is_done()) {
        auto const pieces = message.prepare(error);
        if (error) break;
        sent += boost::beast::buffers_to_string(pieces);
        message.consume(boost::beast::buffer_bytes(pieces));
    }
    CHECK(error == failure);
    CHECK(sent.ends_with("\r\n\r\n"));
}

TEST_CASE("response_fields: folded lines go with their field", "[response_fields]") {
    CHECK(bytes_of(some_fields().applied_to(
              raw("HTTP/1.1 200 OK\r\nRateLimit-Limit: 1\r\n 2\r\nX-Long: a\r\n b\r\nContent-Length: 0\r\n\r\n"))) ==
          "HTTP/1.1 200 OK\r\nX-Long: a\r\n b\r\nContent-Length: 0\r\nRateLimit-Limit: 10\r\nVary: Origin\r\n\r\n");
}

TEST_CASE("response_fields: bytes that are not a response stay unchanged", "[response_fields]") {
    for (auto const& bytes : {std::string("\r\n\r\n"), std::string("hello"), std::string("HTTP/1.1 200 OK\r\nX: 1\r\n"),
                              "HTTP/1.1 200 OK\r\nX: " + std::string(70'000, 'x') + "\r\n\r\n"}) {
        CHECK(bytes_of(some_fields().applied_to(raw(bytes))) == bytes);
    }
}

TEST_CASE("response_fields: none change nothing", "[response_fields]") {
    CHECK(bytes_of(response_fields().applied_to(raw("HTTP/1.1 200 OK\r\n\r\n"))) == "HTTP/1.1 200 OK\r\n\r\n");
}
