// SPDX-License-Identifier: MIT

// RFC 9110 sections 5.6.7 and 6.6.1, RFC 9112 section 9.6.

#include <idempo/http/outgoing.hpp>

#include "support/catch.hpp"
#include "support/requests.hpp"

#include <chrono>
#include <string>
#include <utility>

namespace {

using namespace idempo::tests;
using namespace std::chrono_literals;

http::message_generator generator_of(text_response response) { return http::message_generator(std::move(response)); }

text_response answer_of(unsigned version, bool keep_alive) {
    text_response response{http::status::created, version};
    response.keep_alive(keep_alive);
    response.body() = "hello";
    response.prepare_payload();
    return response;
}

}  // namespace

TEST_CASE("outgoing: a date is written as HTTP wants it", "[outgoing]") {
    auto const at = [](std::chrono::seconds since_1970) {
        auto const now = std::chrono::system_clock::time_point(since_1970);
        return std::string(read(idempo::with_date(generator_of(answer_of(11, true)), now))["Date"]);
    };
    CHECK(at(784'111'777s) == "Sun, 06 Nov 1994 08:49:37 GMT");  // the example of RFC 9110
    CHECK(at(0s) == "Thu, 01 Jan 1970 00:00:00 GMT");
    CHECK(at(1'709'164'800s) == "Thu, 29 Feb 2024 00:00:00 GMT");
    CHECK(at(1'798'761'599s) == "Thu, 31 Dec 2026 23:59:59 GMT");
}

TEST_CASE("outgoing: a date replaces the handler's, and nothing else", "[outgoing]") {
    auto response = answer_of(11, true);
    response.set("Date", "yesterday");
    response.set("X-Tag", "1");
    auto message = idempo::with_date(generator_of(std::move(response)));
    CHECK(message.keep_alive());
    auto const received = read(std::move(message));
    CHECK(received.count("Date") == 1);
    CHECK(received["Date"] != "yesterday");
    CHECK(received["X-Tag"] == "1");
    CHECK(received.body() == "hello");
}

TEST_CASE("outgoing: the last answer says that the connection is closed", "[outgoing]") {
    auto const version = GENERATE(10U, 11U);
    auto const keep_alive = GENERATE(true, false);
    CAPTURE(version, keep_alive);
    auto message = idempo::with_connection_close(generator_of(answer_of(version, keep_alive)));
    CHECK_FALSE(message.keep_alive());
    auto const received = read(std::move(message));
    CHECK_FALSE(received.keep_alive());
    CHECK(received.count("Connection") <= 1);
    if (version == 11) CHECK(received["Connection"] == "close");
    CHECK(received.body() == "hello");
}
