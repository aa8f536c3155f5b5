// SPDX-License-Identifier: MIT
#include <idempo/fingerprint.hpp>
#include <idempo/json/canonical.hpp>
#include <idempo/json/canonical_json.hpp>

#include "support/catch.hpp"

#include <boost/beast/http/string_body.hpp>

#include <algorithm>
#include <iostream>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace http = boost::beast::http;
using idempo::json::canonical_options;
using idempo::json::canonicalizer;

namespace {

std::optional<std::string> form(std::string_view text, canonical_options options = {}) {
    return canonicalizer(std::move(options))(text);
}

bool are_equal(std::string_view one, std::string_view other, canonical_options const& options = {}) {
    auto const left = form(one, options);
    auto const right = form(other, options);
    REQUIRE(left);
    REQUIRE(right);
    return *left == *right;
}

canonical_options without(std::vector<std::string> pointers) {
    canonical_options options;
    options.leave_out = std::move(pointers);
    return options;
}

}  // namespace

TEST_CASE("canonical json: members in any order and white space do not matter", "[json]") {
    CHECK(are_equal(R"({"a":1,"b":[true,null,{"x":"y","z":{}}]})",
                    "\r\n { \"b\" : [ true , null , { \"z\":{ }, \"x\":\"y\" } ],\t\"a\" : 1 } "));
    CHECK_FALSE(are_equal("[1,2]", "[2,1]"));
    CHECK_FALSE(are_equal(R"({"a":null})", "{}"));
    CHECK_FALSE(are_equal(R"({"a":{"b":1}})", R"({"a":{},"b":1})"));
    CHECK_FALSE(are_equal("[[1],[2]]", "[[1,2]]"));
    CHECK_FALSE(are_equal(R"(["a,b"])", R"(["a","b"])"));
    CHECK_FALSE(are_equal(R"("1")", "1"));
    CHECK_FALSE(are_equal(R"("true")", "true"));
    CHECK_FALSE(are_equal("{}", "[]"));
}

TEST_CASE("canonical json: numbers count by their value, without rounding", "[json]") {
    for (auto const* one : {"1", "1.0", "1.00", "10e-1", "1e0", "1E+0", "0.1e1", "100e-2"}) CHECK(are_equal(one, "1"));
    for (auto const* zero : {"0", "-0", "0.0", "0e7", "-0.00E-3"}) CHECK(are_equal(zero, "0"));
    CHECK(are_equal("-12.50", "-125e-1"));
    CHECK(are_equal("1200", "12e2"));
    CHECK_FALSE(are_equal("1", "-1"));
    CHECK_FALSE(are_equal("12", "120"));
    CHECK_FALSE(are_equal("1.2", "12"));
    // As 64-bit floating point these are equal.
    CHECK_FALSE(are_equal("9007199254740993", "9007199254740992"));
    CHECK_FALSE(are_equal("12345678901234567890", "12345678901234567891"));
    CHECK_FALSE(are_equal("123456789012345678901234567890", "123456789012345678901234567891"));
    CHECK_FALSE(are_equal("0.1000000000000000055", "0.1"));
    CHECK(are_equal("123456789012345678901234567890.0", "123456789012345678901234567890"));
}

TEST_CASE("canonical json: strings count by their characters, however they are escaped", "[json]") {
    CHECK(are_equal(R"("\u0041\/\n\u00e9\ud83d\ude00")", "\"A/\\u000a\xc3\xa9\xf0\x9f\x98\x80\""));
    CHECK(are_equal(R"({"\u0061":1})", R"({"a":1})"));
    CHECK_FALSE(are_equal(R"("\\u0041")", R"("\u0041")"));
    CHECK_FALSE(are_equal("\"\xc3\xa9\"", "\"e\xcc\x81\""));  // no Unicode normalisation: RFC 8785, section 3.2.5
}

TEST_CASE("canonical json: control characters are escaped as RFC 8785 escapes them", "[json]") {
    CHECK(form(R"("\u0008\u0009\u000a\u000c\u000d\u0000\u001f\u0022\u005c\u002f")") ==
          R"("\b\t\n\f\r\u0000\u001f\"\\/")");
}

TEST_CASE("canonical json: the form is at most twice as long as the text", "[json]") {
    auto const* const text = GENERATE(R"("\n\n\n\n\n\n\n\n")", R"(["\"","\\","\b\t\f\r"])", "[1e3,0.1,-0,1e-7]");
    CAPTURE(text);
    CHECK(form(text)->size() <= 2 * std::string_view(text).size());
}

TEST_CASE("canonical json: a name that an object has twice is refused, wherever it is", "[json]") {
    CHECK_FALSE(form(R"({"a":1,"a":1})"));
    CHECK_FALSE(form(R"({"a":1,"\u0061":2})"));
    CHECK_FALSE(form(R"([{"x":{"a":1,"b":2,"a":3}}])"));
    CHECK_FALSE(form(R"({"a":1,"a":1})", without({"/a"})));
    CHECK(form(R"({"a":{"a":1},"b":{"a":1}})"));
}

TEST_CASE("canonical json: what is no JSON is refused", "[json]") {
    auto const* const text = GENERATE("", " ", "{", "[1,]", "{\"a\":1,}", "01", "1.", "+1", ".5", "nul", "'a'",
                                      "\"\x01\"", "\"\xff\"", "\"\\ud800\"", "1 2", "{} x", "[1] // comment", "NaN",
                                      "Infinity", "\xef\xbb\xbf{}", "1e99999999999999");
    INFO(text);
    CHECK_FALSE(form(text));
}

TEST_CASE("canonical json: pointers leave out members and elements", "[json]") {
    CHECK(are_equal(R"({"at":1,"a":2})", R"({"a":2,"at":3})", without({"/at"})));
    CHECK(are_equal(R"({"at":1,"a":2})", R"({"a":2})", without({"/at"})));
    CHECK(are_equal(R"({"a":{"at":[1,{}]},"b":2})", R"({"a":{},"b":2})", without({"/a/at"})));
    CHECK_FALSE(are_equal(R"({"a":{"at":1},"at":2})", R"({"a":{"at":1},"at":3})", without({"/a/at"})));
    CHECK(are_equal(R"([{"x":1},{"x":2}])", R"([{"x":3},{"x":2}])", without({"/0/x"})));
    CHECK_FALSE(are_equal(R"([{"x":1},{"x":2}])", R"([{"x":1},{"x":3}])", without({"/0/x"})));
    CHECK(are_equal("[1,2,3]", "[1,9,3]", without({"/1"})));
    CHECK_FALSE(are_equal("[1,2,3]", "[1,9,4]", without({"/1"})));
    CHECK(are_equal(R"({"a/b":1,"c~d":2,"":3})", R"({"a/b":7,"c~d":8,"":9})", without({"/a~1b", "/c~0d", "/"})));
    CHECK(are_equal(R"({"a":1})", R"({"a":1})", without({"/nowhere/at/all"})));
}

TEST_CASE("canonical json: what is no pointer, or the whole text, cannot be left out", "[json]") {
    for (auto const* pointer : {"", "a", "/a~", "/a~2"})
        CHECK_THROWS_AS(canonicalizer(without({pointer})), std::invalid_argument);
}

TEST_CASE("canonical json: depth and size have limits", "[json]") {
    canonical_options options;
    options.max_depth = 3;
    CHECK(form("[[[1]]]", options));
    CHECK_FALSE(form("[[[[1]]]]", options));
    options.max_size = 7;
    CHECK(form("[[[1]]]", options));
    CHECK_FALSE(form("[[[1]]] ", options));
    CHECK_FALSE(form(std::string(100'000, '[')));
}

TEST_CASE("canonical json: any order of members has one form", "[json]") {
    auto const seed = std::random_device{}();
    std::cout << "canonical json: seed " << seed << '\n';
    std::mt19937 random(seed);
    std::vector<std::string> members;
    for (int i = 0; i < 20; ++i) members.push_back("\"m" + std::to_string(i) + "\":" + std::to_string(i));
    auto const text = [&members] {
        std::string all = "{";
        for (auto const& member : members) all += (all.size() > 1 ? "," : "") + member;
        return all + "}";
    };
    auto const first = text();
    int others = 0;
    for (int i = 0; i < 100; ++i) {
        std::shuffle(members.begin(), members.end(), random);
        others += text() != first ? 1 : 0;
        CHECK(are_equal(first, text()));
    }
    CHECK(others > 50);
}

namespace {

http::request<http::string_body> request_with(std::string_view type, std::string body) {
    http::request<http::string_body> request(http::verb::post, "/", 11, std::move(body));
    request.set(http::field::content_type, type);
    return request;
}

bool are_same(http::request<http::string_body> const& one, http::request<http::string_body> const& other,
              canonical_options options = {}) {
    idempo::same_request what;
    what.body = idempo::canonical_json(std::move(options));
    idempo::fingerprint_rule const rule(what);
    return rule(one) == rule(other);
}

}  // namespace

TEST_CASE("canonical json: as a rule it compares JSON, and leaves other bodies to their content", "[json]") {
    auto const of_type = [](std::string_view type) {
        return are_same(request_with(type, R"({"a":1,"b":2})"), request_with(type, R"({"b":2.0, "a":1})"));
    };
    CHECK(of_type("application/json"));
    CHECK(of_type("Application/Problem+JSON; charset=utf-8"));
    CHECK_FALSE(of_type("text/plain"));
    CHECK_FALSE(of_type("application/jsonl"));

    std::string const twice = R"({"a":1,"a":1})";
    CHECK(are_same(request_with("application/json", twice), request_with("application/json", twice)));
    CHECK_FALSE(are_same(request_with("application/json", twice), request_with("application/json", twice + " ")));
    CHECK_FALSE(are_same(request_with("application/json", "{"), request_with("application/json", "{ ")));

    auto encoded = request_with("application/json", "{}");
    encoded.set(http::field::content_encoding, "identity");
    auto other = encoded;
    other.body() = "{ }";
    CHECK_FALSE(are_same(encoded, other));

    auto const form_of = [](std::string const& boundary) {
        return request_with("multipart/form-data; boundary=" + boundary,
                            "--" + boundary + "\r\n\r\nx\r\n--" + boundary + "--\r\n");
    };
    CHECK(are_same(form_of("a"), form_of("b")));
}

TEST_CASE("canonical json: each option is part of the rule's number", "[json]") {
    auto const number = [](canonical_options options) {
        idempo::same_request what;
        what.body = idempo::canonical_json(std::move(options));
        return idempo::fingerprint_rule(what).number();
    };
    auto const usual = number({});
    CHECK(number({}) == usual);
    CHECK(number(without({"/a"})) != usual);
    CHECK(number(without({"/a", "/b"})) != number(without({"/a /b"})));
    canonical_options deeper;
    deeper.max_depth = 33;
    CHECK(number(deeper) != usual);
    canonical_options larger;
    larger.max_size = 1;
    CHECK(number(larger) != usual);
}
