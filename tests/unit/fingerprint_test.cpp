// SPDX-License-Identifier: MIT
#include <idempo/fingerprint.hpp>

#include "support/catch.hpp"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/multi_buffer.hpp>
#include <boost/beast/core/ostream.hpp>
#include <boost/beast/http/dynamic_body.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/span_body.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/vector_body.hpp>

#include <cstddef>
#include <memory_resource>
#include <string>
#include <utility>
#include <vector>

namespace beast = boost::beast;
namespace http = beast::http;
using idempo::fingerprint;
using idempo::fingerprint_rule;
using idempo::same_request;

namespace {

using string_request = http::request<http::string_body>;

std::vector<std::string> const credentials{"Authorization", "X-Api-Key"};

template <class Request>
fingerprint make_fingerprint(Request const& request, std::vector<std::string> const& credential_fields) {
    return fingerprint_rule(same_request(), credential_fields)(request);
}

string_request make_request(std::string body = "{\"amount\":1}") {
    return {http::verb::post, "/orders?a=1", 11, std::move(body)};
}

fingerprint of(string_request const& request) { return make_fingerprint(request, credentials); }

template <class Body>
http::request<Body> request_with() {
    http::request<Body> request;
    request.method(http::verb::post);
    request.target("/orders?a=1");
    return request;
}

}  // namespace

TEST_CASE("fingerprint: equal requests have equal fingerprints", "[fingerprint]") {
    CHECK(of(make_request()) == of(make_request()));
}

TEST_CASE("fingerprint: what does not identify a request does not change its fingerprint", "[fingerprint]") {
    auto request = make_request();
    SECTION("another field") { request.set(http::field::user_agent, "curl"); }
    SECTION("the content length") { request.prepare_payload(); }
    SECTION("the version") { request.version(10); }
    SECTION("keep-alive") { request.keep_alive(false); }
    SECTION("the key") { request.set("Idempotency-Key", "k"); }
    CHECK(of(request) == of(make_request()));
}

TEST_CASE("fingerprint: what identifies a request changes its fingerprint", "[fingerprint]") {
    auto request = make_request();
    SECTION("method") { request.method(http::verb::put); }
    SECTION("unknown method") { request.method_string("BREW"); }
    SECTION("path") { request.target("/order?a=1"); }
    SECTION("query") { request.target("/orders?a=2"); }
    SECTION("path that would be the same when decoded") { request.target("/%6Frders?a=1"); }
    SECTION("body") { request.body() = "{\"amount\":2}"; }
    SECTION("body with a space more") { request.body() += ' '; }
    SECTION("no body") { request.body().clear(); }
    SECTION("a credential") { request.set("Authorization", "Bearer a"); }
    SECTION("an empty credential") { request.set("Authorization", ""); }
    SECTION("a credential in another case") { request.set("x-api-key", "a"); }
    CHECK(of(request) != of(make_request()));
}

TEST_CASE("fingerprint: a byte cannot change sides between two parts", "[fingerprint]") {
    auto one = make_request();
    auto other = make_request();
    SECTION("method and target") {
        one.method_string("POST");
        one.target("/x");
        other.method_string("POST/");
        other.target("x");
    }
    SECTION("target and body") {
        one.target("/a");
        one.body() = "bc";
        other.target("/ab");
        other.body() = "c";
    }
    SECTION("body and credential") {
        one.body() = "a";
        one.set("Authorization", "bc");
        other.body() = "ab";
        other.set("Authorization", "c");
    }
    SECTION("credentials of two fields") {
        one.set("Authorization", "a");
        other.set("X-Api-Key", "a");
    }
    SECTION("one line and two") {
        one.set("Authorization", "ab");
        other.insert("Authorization", "a");
        other.insert("Authorization", "b");
    }
    SECTION("two lines in the other order") {
        one.insert("Authorization", "a");
        one.insert("Authorization", "b");
        other.insert("Authorization", "b");
        other.insert("Authorization", "a");
    }
    SECTION("a line in each field, or two in one") {
        one.insert("Authorization", "a");
        one.insert("X-Api-Key", "b");
        other.insert("Authorization", "a");
        other.insert("Authorization", "b");
    }
    CHECK(of(one) != of(other));
}

TEST_CASE("fingerprint: only the listed credentials count", "[fingerprint]") {
    auto request = make_request();
    request.set("Authorization", "Bearer a");
    CHECK(make_fingerprint(request, {}) == make_fingerprint(make_request(), {}));
    std::vector<std::string> const cookie{"Cookie"};
    CHECK(make_fingerprint(request, cookie) == make_fingerprint(make_request(), cookie));
}

TEST_CASE("fingerprint: the type of the body does not matter", "[fingerprint]") {
    for (std::size_t const size : {0U, 1U, 100U, 255U, 256U, 257U, 5'000U}) {
        std::string bytes(size, 'x');
        if (size > 2) bytes[2] = '\0';
        auto const expected = of(make_request(bytes));
        CAPTURE(size);

        auto vector = request_with<http::vector_body<char>>();
        vector.body().assign(bytes.begin(), bytes.end());
        CHECK(make_fingerprint(vector, credentials) == expected);

        auto vector_of_bytes = request_with<http::vector_body<unsigned char>>();
        vector_of_bytes.body().assign(bytes.begin(), bytes.end());
        CHECK(make_fingerprint(vector_of_bytes, credentials) == expected);

        auto span = request_with<http::span_body<char const>>();
        span.body() = beast::span<char const>(bytes.data(), bytes.size());
        CHECK(make_fingerprint(span, credentials) == expected);

        auto dynamic = request_with<http::dynamic_body>();
        for (char const c : bytes) beast::ostream(dynamic.body()) << c;
        CHECK(make_fingerprint(dynamic, credentials) == expected);

        auto flat = request_with<http::basic_dynamic_body<beast::flat_buffer>>();
        beast::ostream(flat.body()) << bytes;
        CHECK(make_fingerprint(flat, credentials) == expected);

        if (size == 0) CHECK(make_fingerprint(request_with<http::empty_body>(), credentials) == expected);
    }
}

TEST_CASE("fingerprint: the allocator of the fields does not matter", "[fingerprint]") {
    using pool_fields = http::basic_fields<std::pmr::polymorphic_allocator<char>>;
    std::pmr::monotonic_buffer_resource pool;
    http::request<http::string_body, pool_fields> request(
        http::request_header<pool_fields>{std::pmr::polymorphic_allocator<char>(&pool)});
    request.method(http::verb::post);
    request.target("/orders?a=1");
    request.body() = "{\"amount\":1}";
    request.set("authorization", "Bearer a");
    auto expected = make_request();
    expected.set("Authorization", "Bearer a");
    CHECK(make_fingerprint(request, credentials) == of(expected));
}

TEST_CASE("fingerprint: a derived key is SHA-256 of store key, fingerprint and label in hexadecimal", "[fingerprint]") {
    idempo::store_key key;
    fingerprint request;
    key.bytes.fill('k');
    request.bytes.fill('f');
    // { printf 'k%.0s' {1..32}; printf 'f%.0s' {1..32}; printf email; } | sha256sum
    CHECK(idempo::derive_key(key, request, "email") ==
          "0b1ae9903ac4b9490aff47580a0695af3e689103cec35993b900c57d8c22436a");
    CHECK(idempo::derive_key(key, request, "email") != idempo::derive_key(key, request, "charge"));
    CHECK(idempo::derive_key(key, request, "") != idempo::derive_key(key, {}, ""));
    CHECK(idempo::derive_key(key, request, "") != idempo::derive_key({}, request, ""));
}
