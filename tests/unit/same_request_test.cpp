// SPDX-License-Identifier: MIT

// What of a request its fingerprint covers.

#include <idempo/fingerprint.hpp>
#include <idempo/key.hpp>

#include "support/catch.hpp"

#include <boost/beast/core/ostream.hpp>
#include <boost/beast/http/dynamic_body.hpp>
#include <boost/beast/http/string_body.hpp>

#include <algorithm>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace beast = boost::beast;
namespace http = beast::http;
using idempo::body_rule;
using idempo::fingerprint;
using idempo::fingerprint_rule;
using idempo::same_request;

namespace {

using string_request = http::request<http::string_body>;

string_request make_request(std::string body = "{\"amount\":1}") {
    string_request request(http::verb::post, "/orders?a=1", 11, std::move(body));
    request.set(http::field::host, "shop.example");
    return request;
}

fingerprint of(string_request const& request, same_request what = {}) {
    return fingerprint_rule(std::move(what))(request);
}

same_request with(body_rule rule) {
    same_request what;
    what.body = std::move(rule);
    return what;
}

std::string parts(std::string const& boundary, std::string const& amount = "4") {
    return "--" + boundary + "\r\nContent-Disposition: form-data; name=\"amount\"\r\n\r\n" + amount + "\r\n--" +
           boundary + "\r\nContent-Type: text/plain\r\n\r\nfile\r\n--" + boundary + "--\r\n";
}

string_request upload(std::string const& boundary, std::string const& body) {
    auto request = make_request(body);
    request.set(http::field::content_type, "multipart/form-data; boundary=" + boundary);
    return request;
}

string_request upload(std::string const& boundary) { return upload(boundary, parts(boundary)); }

string_request zipped(char time, std::string_view coding = "gzip") {
    auto request =
        make_request("\x1f\x8b\x08" + std::string(1, '\0') + std::string(4, time) + "\x02\xff" + "compressed bytes");
    request.set(http::field::content_encoding, coding);
    return request;
}

std::string hex(std::string_view bytes) { return idempo::to_hex(bytes); }

}  // namespace

TEST_CASE("same request: the host counts in lower case, without a default port", "[same_request]") {
    auto other = make_request();
    SECTION("the same") {
        other.set(http::field::host, GENERATE("SHOP.example", "shop.example:80", "Shop.Example:443"));
        CHECK(of(other) == of(make_request()));
    }
    SECTION("another") {
        other.set(http::field::host, GENERATE("shop-b.example", "shop.example:8080", "", "xshop.example"));
        CHECK(of(other) != of(make_request()));
        same_request anywhere;
        anywhere.authority = false;
        CHECK(of(other, anywhere) == of(make_request(), anywhere));
    }
}

TEST_CASE("same request: a target in absolute-form equals one in origin-form", "[same_request]") {
    auto other = make_request();
    other.target("http://shop.example/orders?a=1");
    CHECK(of(other) == of(make_request()));
    other.set(http::field::host, "ignored.example");
    CHECK(of(other) == of(make_request()));
    other.target("http://other.example/orders?a=1");
    CHECK(of(other) != of(make_request()));
}

TEST_CASE("same request: a field that changes the meaning counts, and a list of one's own replaces the default",
          "[same_request]") {
    auto other = make_request();
    auto const name = GENERATE("Content-Type", "content-encoding", "Content-Range", "If-Match", "If-None-Match",
                               "If-Unmodified-Since", "Upload-Concat", "upload-metadata", "X-HTTP-Method-Override");
    INFO(name);
    other.set(name, "x");
    CHECK(of(other) != of(make_request()));

    same_request uploads;
    uploads.fields = {"X-Meaning"};
    CHECK(of(other, uploads) == of(make_request(), uploads));
    auto part = make_request();
    part.set("x-meaning", "another");
    CHECK(of(part) == of(make_request()));
    CHECK(of(part, uploads) != of(make_request(), uploads));
}

TEST_CASE("same request: the lines of a field count with their number and in their order", "[same_request]") {
    auto const name = GENERATE("If-Match", "Upload-Metadata");  // known to Beast, and not
    auto const with_lines = [&name](std::initializer_list<char const*> values) {
        auto request = make_request();
        for (auto const* value : values) request.insert(name, value);
        return of(request);
    };
    CHECK(with_lines({"a", "b"}) == with_lines({"a", "b"}));
    CHECK(with_lines({"a", "b"}) != with_lines({"b", "a"}));
    CHECK(with_lines({"a", "b"}) != with_lines({"a"}));
    CHECK(with_lines({"a", "b"}) != with_lines({"ab"}));
    CHECK(with_lines({"a", "a"}) != with_lines({"a"}));
    CHECK(with_lines({""}) != with_lines({}));
}

TEST_CASE("same request: a name that is listed twice is compared at both places", "[same_request]") {
    auto listed = make_request();
    listed.set("X-Meaning", "a");
    same_request twice;
    twice.fields = {"X-Meaning", "x-meaning", "X-Meaming"};
    auto other = make_request();
    other.set("X-Meaning", "b");
    CHECK(of(listed, twice) == of(listed, twice));
    CHECK(of(listed, twice) != of(other, twice));
    auto similar = make_request();
    similar.set("X-Meaming", "a");
    CHECK(of(listed, twice) != of(similar, twice));
}

TEST_CASE("same request: two types of a body are none, and its bytes count as they are", "[same_request]") {
    auto const with_types = [](std::string const& boundary) {
        auto request = upload(boundary);
        request.insert(http::field::content_type, "multipart/form-data; boundary=other");
        return of(request);
    };
    CHECK(with_types("one") == with_types("one"));
    CHECK(with_types("one") != with_types("another-one"));
}

TEST_CASE("same request: the boundary of a multipart body does not count", "[same_request]") {
    CHECK(of(upload("one")) == of(upload("another-one")));
    CHECK(of(upload("one")) != of(upload("another-one", parts("another-one", "5"))));
    CHECK(of(upload("one"), with(body_rule::exact())) != of(upload("another-one"), with(body_rule::exact())));
}

TEST_CASE("same request: the parts of a multipart body count with their fields and in their order", "[same_request]") {
    auto const body = [](std::string_view between) {
        return "--b\r\nA: 1\r\n\r\n" + std::string(between) + "--b--\r\n";
    };
    auto const one = of(upload("b", body("x\r\n--b\r\nB: 2\r\n\r\ny\r\n")));
    CHECK(one != of(upload("b", body("y\r\n--b\r\nB: 2\r\n\r\nx\r\n"))));
    CHECK(one != of(upload("b", body("x\r\n--b\r\nB: 3\r\n\r\ny\r\n"))));
    CHECK(one != of(upload("b", body("x\r\n--b\r\n\r\nB: 2\r\n\r\ny\r\n"))));
    CHECK(one != of(upload("b", body("x\r\nB: 2\r\n\r\ny\r\n"))));
    CHECK(one != of(upload("b", body("x\r\n--b\r\nB: 2\r\n\r\ny\r\n") + "epilogue")));
    CHECK(one != of(upload("b", "preamble\r\n" + body("x\r\n--b\r\nB: 2\r\n\r\ny\r\n"))));
}

TEST_CASE("same request: a malformed multipart body counts byte by byte, with its boundary", "[same_request]") {
    std::string const body = "--one\r\nno end";
    CHECK(of(upload("one", body)) == of(upload("one", body)));
    CHECK(of(upload("one", body)) != of(upload("one", body + " ")));
    CHECK(of(upload("one", "text")) != of(upload("two", "text")));
}

TEST_CASE("same request: other parameters of a multipart type count", "[same_request]") {
    auto other = upload("one");
    other.set(http::field::content_type, "multipart/form-data; charset=utf-8; boundary=one");
    CHECK(of(other) != of(upload("one")));
    other.set(http::field::content_type, "multipart/mixed; boundary=one");
    CHECK(of(other) != of(upload("one")));
    other.set(http::field::content_type, "multipart/form-data; boundary=\"one\"");
    CHECK(of(other) == of(upload("one")));
}

TEST_CASE("same request: the time in a gzip header does not count, and nothing else is left out", "[same_request]") {
    CHECK(of(zipped('a')) == of(zipped('b')));
    CHECK(of(zipped('a', "x-gzip")) == of(zipped('b', "x-gzip")));
    CHECK(of(zipped('a', "br")) != of(zipped('b', "br")));
    CHECK(of(zipped('a'), with(body_rule::exact())) != of(zipped('b'), with(body_rule::exact())));
    auto const size = zipped('a').body().size();
    for (std::size_t at = 0; at < size; ++at) {
        auto other = zipped('a');
        other.body()[at] = static_cast<char>(other.body()[at] ^ 1);
        CAPTURE(at);
        CHECK((of(other) == of(zipped('a'))) == (at >= 4 && at < 8));
    }
}

TEST_CASE("same request: the type of the body does not matter to any rule", "[same_request]") {
    for (auto const& request : {make_request(), upload("one"), zipped('a')}) {
        http::request<http::dynamic_body> pieces;
        static_cast<http::request<http::dynamic_body>::header_type&>(pieces) = request.base();
        for (char const c : request.body()) beast::ostream(pieces.body()) << c;
        CHECK(fingerprint_rule({})(pieces) == of(request));
    }
}

TEST_CASE("same request: a rule of one's own says what counts, or leaves it to the content", "[same_request]") {
    auto const first_byte = body_rule::custom("first-byte", [](auto const&, std::string_view body, auto& hash) {
        if (body.empty()) return false;
        hash.add(body.substr(0, 1));
        return true;
    });
    CHECK(of(make_request("ab"), with(first_byte)) == of(make_request("ac"), with(first_byte)));
    CHECK(of(make_request("ab"), with(first_byte)) != of(make_request("bb"), with(first_byte)));
    CHECK(of(make_request(""), with(first_byte)) != of(make_request("a"), with(first_byte)));

    auto const none = body_rule::custom("none", [](auto const&, auto, auto&) { return false; });
    CHECK(of(upload("one"), with(none)) == of(upload("two"), with(none)));
    CHECK(of(make_request("a"), with(none)) != of(make_request("b"), with(none)));

    auto const throwing = body_rule::custom(
        "throwing", [](auto const&, auto, auto&) -> bool { throw std::runtime_error("no such body"); });
    CHECK_THROWS_WITH(of(make_request(), with(throwing)), "no such body");
    CHECK_THROWS_AS(body_rule::custom("", [](auto const&, auto, auto&) { return true; }), std::invalid_argument);
    CHECK_THROWS_AS(body_rule::custom("x", {}), std::invalid_argument);
}

TEST_CASE("same request: another rule has another number, and no fingerprint in common", "[same_request]") {
    fingerprint_rule const current({});
    same_request other;
    std::vector<std::string> credentials;
    SECTION("a field more") { other.fields.push_back("Upload-Concat"); }
    SECTION("another order") { std::swap(other.fields[0], other.fields[1]); }
    SECTION("without the host") { other.authority = false; }
    SECTION("another body") { other.body = body_rule::exact(); }
    SECTION("a body of one's own") {
        other.body = body_rule::custom("x", [](auto&&...) { return false; });
    }
    SECTION("a credential") { credentials = {"Cookie"}; }
    SECTION("a field that is a credential") {
        credentials = {other.fields.back()};
        other.fields.pop_back();
    }
    fingerprint_rule const another(other, credentials);
    CHECK(another.number() != current.number());
    CHECK(another(make_request()) != current(make_request()));
    CHECK(idempo::rule_number(current(make_request())) == current.number());
    CHECK(idempo::rule_number(another(make_request())) == another.number());
    CHECK(current.number() != 0);
}

TEST_CASE("same request: the spelling of a field's name is not part of the rule", "[same_request]") {
    same_request other;
    std::transform(other.fields.begin(), other.fields.end(), other.fields.begin(), [](std::string name) {
        std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return char(std::tolower(c)); });
        return name;
    });
    CHECK(fingerprint_rule(other).number() == fingerprint_rule({}).number());
}

// Computed by another program: 7-bit lengths, parts, and SHA-256 as described in fingerprint.hpp. They may change in a
// major version only.
TEST_CASE("same request: fingerprints and store keys stay as they are", "[same_request]") {
    fingerprint_rule const rule({}, {"Authorization", "X-Api-Key"});
    CHECK(rule.number() == 0x6c2ff6d0);

    auto charge = make_request();
    charge.set(http::field::content_type, "application/json");
    charge.set(http::field::authorization, "Bearer a");
    CHECK(hex(rule(charge).view()) == "6c2ff6d0fa335be1d02dc56617077e2efd36a2b48b5d0203602433e3d7f36858");

    auto packed = make_request(std::string("\x1f\x8b\x08\0aaaa", 8) + "compressed bytes");
    packed.set(http::field::content_encoding, "gzip");
    CHECK(hex(rule(packed).view()) == "6c2ff6d0b395c1875b94eb4acf2141eb76a0287ff7f917d45972812bc9a951ac");

    auto form = make_request("--b\r\nA: 1\r\n\r\nx\r\n--b\r\n\r\ny\r\n--b--\r\n");
    form.set(http::field::content_type, "multipart/form-data; charset=utf-8; boundary=b");
    CHECK(hex(rule(form).view()) == "6c2ff6d01b887fdba3e598f299a4ba85c0044a00d3acaeb83bd2ef2cf3d27a49");

    CHECK(hex(idempo::make_store_key("shop", "alice", "order-1").view()) ==
          "70152d9acde6d768f55a41b420a6cc2c7d55817fd11b02abe539f422810e56ab");
    CHECK(hex(idempo::make_store_key("shop", "alice", "order-1", idempo::endpoint{"POST", "/orders"}).view()) ==
          "28ef57e20a6f43d14375aa9a7ca4b77d7e52911aebfe4def9a3289150643b1d8");
}
