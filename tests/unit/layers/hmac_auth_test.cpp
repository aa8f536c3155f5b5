// SPDX-License-Identifier: MIT

// RFC 2104, RFC 4231 (test vectors), RFC 9110 section 11.6.1.

#include <idempo/layers/hmac_auth.hpp>

#include "support/catch.hpp"
#include "support/requests.hpp"

#include <idempo/identifiers.hpp>
#include <idempo/observer.hpp>

#include <boost/beast/core/multi_buffer.hpp>
#include <boost/beast/core/ostream.hpp>
#include <boost/beast/http/dynamic_body.hpp>

#include <chrono>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace idempo::tests;
using namespace std::chrono_literals;
using idempo::hmac_options;

std::string const secret = "It was a bright cold day in April";

std::string mac(std::string_view key_bytes, std::string_view message) {
    idempo::detail::hmac_key const key(key_bytes);
    idempo::detail::hmac_sha256 made(key);
    made.update(message.substr(0, message.size() / 2));
    made.update(message.substr(message.size() / 2));
    auto const digest = made.finish();
    return idempo::to_hex({reinterpret_cast<char const*>(digest.data()), digest.size()});
}

/// What the layer says to a request; 201 where it lets it pass.
template <class Request>
text_response answer(hmac_options options, Request request) {
    auto const handle = idempo::hmac_auth(std::move(options)) | [](Request const&) {
        return text_response{http::status::created, 11};
    };
    return handle(std::move(request));
}

text_request signed_request(std::string const& signature, std::string_view body = R"({"amount":42})") {
    auto request = unkeyed_request(body);
    request.set("X-Signature", signature);
    return request;
}

text_request rightly_signed() { return signed_request(mac(secret, R"({"amount":42})")); }

void check_refused(text_response const& response, std::string_view type) {
    CHECK(response.result_int() == 401);
    CHECK(response[http::field::www_authenticate] == "HMAC-SHA256");
    CHECK(response[http::field::content_type] == "application/problem+json");
    CHECK(response.body().find("urn:idempo:problem:" + std::string(type)) != std::string::npos);
    CHECK(response.body().find(secret) == std::string::npos);
}

}  // namespace

TEST_CASE("hmac: the vectors of RFC 4231", "[hmac]") {
    CHECK(mac(std::string(20, '\x0b'), "Hi There") ==
          "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    CHECK(mac("Jefe", "what do ya want for nothing?") ==
          "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    CHECK(mac(std::string(20, '\xaa'), std::string(50, '\xdd')) ==
          "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    std::string counted;
    for (char byte = 1; byte <= 25; ++byte) counted += byte;
    CHECK(mac(counted, std::string(50, '\xcd')) == "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
    CHECK(mac(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First") ==
          "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    CHECK(
        mac(std::string(131, '\xaa'),
            "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be "
            "hashed before being used by the HMAC algorithm.") ==
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

TEST_CASE("hmac_auth: a right signature passes, in either case of the digits", "[hmac]") {
    CHECK(answer({.secret = secret}, rightly_signed()).result_int() == 201);
    auto upper = mac(secret, R"({"amount":42})");
    for (auto& digit : upper) digit = static_cast<char>(std::toupper(static_cast<unsigned char>(digit)));
    CHECK(answer({.secret = secret}, signed_request(upper)).result_int() == 201);
    CHECK(answer({.secret = secret}, signed_request(mac(secret, ""), "")).result_int() == 201);
}

TEST_CASE("hmac_auth: a missing, wrong or repeated signature is refused", "[hmac]") {
    check_refused(answer({.secret = secret}, unkeyed_request()), "signature-missing");
    auto wrong = mac(secret, R"({"amount":42})");
    wrong.back() = wrong.back() == '0' ? '1' : '0';
    check_refused(answer({.secret = secret}, signed_request(wrong)), "signature-wrong");
    check_refused(answer({.secret = secret}, signed_request(mac("another", R"({"amount":42})"))), "signature-wrong");
    check_refused(answer({.secret = secret}, signed_request(mac(secret, "{}"))), "signature-wrong");
    check_refused(answer({.secret = secret}, signed_request("")), "signature-wrong");
    check_refused(answer({.secret = secret}, signed_request("zz" + wrong.substr(2))), "signature-wrong");
    auto twice = rightly_signed();
    twice.insert("x-signature", std::string(twice["X-Signature"]));
    check_refused(answer({.secret = secret}, twice), "signature-wrong");
}

TEST_CASE("hmac_auth: the previous secret still counts", "[hmac]") {
    CHECK(answer({.secret = "new", .previous_secret = secret}, rightly_signed()).result_int() == 201);
    CHECK(answer({.secret = secret, .previous_secret = "old"}, rightly_signed()).result_int() == 201);
    check_refused(answer({.secret = "new", .previous_secret = "old"}, rightly_signed()), "signature-wrong");
}

TEST_CASE("hmac_auth: the secrets of many clients, by the id of the key", "[hmac]") {
    hmac_options options;
    options.find_secrets = [](idempo::request_head const& head) -> std::vector<std::string> {
        if (head.field("X-Key-Id") == "alice") return {"hers", secret};
        if (head.field("X-Key-Id") == "nobody") return {""};
        return {};
    };
    auto alices = rightly_signed();
    alices.set("X-Key-Id", "alice");
    CHECK(answer(options, alices).result_int() == 201);
    alices.set("X-Key-Id", "bob");
    check_refused(answer(options, alices), "signature-wrong");
    auto empty = signed_request(mac("", R"({"amount":42})"));
    empty.set("X-Key-Id", "nobody");
    check_refused(answer(options, empty), "signature-wrong");
}

TEST_CASE("hmac_auth: other fields, prefixes and encodings", "[hmac]") {
    auto webhook = unkeyed_request();
    webhook.set("X-Hub-Signature-256", "sha256=" + mac(secret, webhook.body()));
    CHECK(answer({.secret = secret, .header = "X-Hub-Signature-256", .prefix = "sha256="}, webhook).result_int() ==
          201);
    CHECK(answer({.secret = secret, .header = "X-Hub-Signature-256", .prefix = "sha1="}, webhook).result_int() == 401);

    hmac_options const options{.secret = "Jefe", .encoding = idempo::signature_encoding::base64};
    std::string_view const text = "what do ya want for nothing?";
    CHECK(answer(options, signed_request("W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=", text)).result_int() == 201);
    // The last digit has two bits that mean nothing: there is one spelling, not four.
    CHECK(answer(options, signed_request("W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEN=", text)).result_int() == 401);
    CHECK(answer(options, signed_request("W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM", text)).result_int() == 401);
}

TEST_CASE("hmac_auth: method and target can be signed, too", "[hmac]") {
    hmac_options const options{.secret = secret, .content = idempo::signed_content::method_target_and_body};
    auto request = signed_request(mac(secret, "POST\n/charge\n{\"amount\":42}"));
    CHECK(answer(options, request).result_int() == 201);
    request.target("/refund");
    CHECK(answer(options, request).result_int() == 401);

    hmac_options slack{.secret = secret};
    slack.preamble = [](idempo::request_head const& head) { return "v0:" + std::string(head.field("X-Time")) + ":"; };
    request = signed_request(mac(secret, "v0:123:{\"amount\":42}"));
    request.set("X-Time", "123");
    CHECK(answer(slack, request).result_int() == 201);
}

TEST_CASE("hmac_auth: a signed time must be near, and comes first in what is signed", "[hmac]") {
    hmac_options options{.secret = secret, .timestamp_header = "X-Timestamp", .tolerance = 60s};
    options.clock = [] { return std::chrono::system_clock::time_point(1'700'000'000s); };
    auto const sent_at = [&](std::string const& time) {
        auto request = signed_request(mac(secret, time + R"(.{"amount":42})"));
        request.set("X-Timestamp", time);
        return answer(options, request);
    };
    CHECK(sent_at("1700000000").result_int() == 201);
    CHECK(sent_at("1699999940").result_int() == 201);
    CHECK(sent_at("1700000060").result_int() == 201);
    check_refused(sent_at("1699999939"), "signature-expired");
    check_refused(sent_at("1700000061"), "signature-expired");
    check_refused(sent_at("999999999999"), "signature-expired");
    check_refused(sent_at("-1700000000"), "signature-wrong");
    check_refused(sent_at("1e9"), "signature-wrong");
    check_refused(sent_at(""), "signature-wrong");
    check_refused(answer(options, rightly_signed()), "signature-missing");

    auto moved = signed_request(mac(secret, R"(1600000000.{"amount":42})"));  // captured, and given a new time
    moved.set("X-Timestamp", "1700000000");
    check_refused(answer(options, moved), "signature-wrong");
    moved.insert("X-Timestamp", "1700000000");
    check_refused(answer(options, moved), "signature-wrong");
}

TEST_CASE("hmac_auth: the body may come in pieces, and some requests need no signature", "[hmac]") {
    http::request<http::dynamic_body> pieces{http::verb::post, "/charge", 11};
    for (int piece = 0; piece < 100; ++piece) {
        boost::beast::ostream(pieces.body()) << std::string(37, static_cast<char>('a' + piece % 26));
    }
    std::string whole;
    for (int piece = 0; piece < 100; ++piece) whole += std::string(37, static_cast<char>('a' + piece % 26));
    pieces.set("X-Signature", mac(secret, whole));
    CHECK(answer({.secret = secret}, pieces).result_int() == 201);

    hmac_options const options{.secret = secret, .applies = [](idempo::request_head const& head) {
                                   return head.method() == http::verb::post;
                               }};
    text_request const get{http::verb::get, "/", 11};
    CHECK(answer(options, get).result_int() == 201);
    CHECK(answer(options, unkeyed_request()).result_int() == 401);
}

TEST_CASE("hmac_auth: a refused HEAD has no body, and the observer is told of refusals", "[hmac]") {
    std::vector<idempo::event> told;
    hmac_options const options{.secret = secret,
                               .observer = [&](idempo::event const& event) { told.push_back(event); }};
    text_request const head{http::verb::head, "/", 11};
    auto const refused = answer(options, head);
    CHECK(refused.result_int() == 401);
    CHECK(refused.body().empty());
    REQUIRE(told.size() == 1);
    CHECK(told[0].type == idempo::event_type::refused);
    CHECK(told[0].status == 401);
}

TEST_CASE("hmac_auth: options that make no sense throw", "[hmac]") {
    CHECK_THROWS_AS(idempo::hmac_auth({}), std::invalid_argument);
    CHECK_THROWS_AS(idempo::hmac_auth({.previous_secret = secret}), std::invalid_argument);
    CHECK_THROWS_AS(idempo::hmac_auth({.secret = secret, .header = "X Signature"}), std::invalid_argument);
    CHECK_THROWS_AS(idempo::hmac_auth({.secret = secret, .timestamp_header = ":"}), std::invalid_argument);
    CHECK_THROWS_AS(idempo::hmac_auth({.secret = secret, .tolerance = -1s}), std::invalid_argument);
    CHECK_THROWS_AS(idempo::hmac_auth({.secret = secret, .challenge = "a\r\nb"}), std::invalid_argument);
    CHECK_THROWS_AS(idempo::hmac_auth({.secret = secret, .challenge = ""}), std::invalid_argument);
    hmac_options both{.secret = secret};
    both.find_secrets = [](idempo::request_head const&) { return std::vector<std::string>{secret}; };
    CHECK_THROWS_AS(idempo::hmac_auth(both), std::invalid_argument);
}

TEST_CASE("hmac_auth: the time is signed whatever else is", "[hmac]") {
    hmac_options options{.secret = secret, .timestamp_header = "X-Timestamp"};
    options.clock = [] { return std::chrono::system_clock::time_point(1'700'000'000s); };
    std::string before_body;
    bool signs_id = true;
    SECTION("a preamble") {
        options.preamble = [](idempo::request_head const& head) { return std::string(head.field("X-Id")) + "|"; };
        before_body = "7|";
    }
    SECTION("method and target") {
        options.content = idempo::signed_content::method_target_and_body;
        before_body = "POST\n/orders\n";
        signs_id = false;
    }
    SECTION("fields") {
        options.signed_fields = {"X-Id", "X-None"};
        before_body = "7\n\n";
    }
    SECTION("fields before it") {
        options.content = idempo::signed_content::fields_timestamp_and_body;
        options.signed_fields = {"X-Id"};
    }
    bool const fields_first = options.content == idempo::signed_content::fields_timestamp_and_body;
    auto const content = (fields_first ? "7.1699999990." : "1699999990." + before_body) + R"({"amount":42})";
    auto request = signed_request(mac(secret, content));
    request.target("/orders");
    request.set("X-Id", "7");
    request.set("X-Timestamp", "1699999990");
    CHECK(answer(options, request).result_int() == 201);

    auto again = request;  // captured, and given a fresh time
    again.set("X-Timestamp", "1700000000");
    check_refused(answer(options, again), "signature-wrong");
    if (!signs_id) return;
    auto other = request;
    other.set("X-Id", "8");
    check_refused(answer(options, other), "signature-wrong");
    auto lost = request;
    lost.erase("X-Id");
    check_refused(answer(options, lost), "signature-wrong");
    if (!options.signed_fields.empty()) {
        request.insert("X-Id", "7");
        check_refused(answer(options, request), "signature-wrong");
    }
}

TEST_CASE("hmac_auth: Standard Webhooks, with one signature or several", "[hmac]") {
    // https://github.com/standard-webhooks/standard-webhooks, the example of the specification's libraries
    auto options = hmac_options::standard_webhooks("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    options.clock = [] { return std::chrono::system_clock::time_point(1'614'265'330s); };
    auto request = unkeyed_request(R"({"test": 2432232314})");
    request.set("Webhook-Id", "msg_p5jXN8AQM9LWM0D4loKWxJek");
    request.set("Webhook-Timestamp", "1614265330");
    std::string const right = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    std::string const wrong = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    for (auto const& value :
         {right, wrong + " " + right, right + " " + wrong, "v1a,zzz= " + right + " v2,x", "  " + right}) {
        CAPTURE(value);
        request.set("Webhook-Signature", value);
        CHECK(answer(options, request).result_int() == 201);
    }
    std::string many = right;
    for (int number = 0; number < 16; ++number) many += " " + wrong;
    for (auto const& value : {wrong, std::string("v1a,zzz="), std::string(), right.substr(3), "v1,x " + wrong, many}) {
        CAPTURE(value);
        request.set("Webhook-Signature", value);
        check_refused(answer(options, request), "signature-wrong");
    }
    request.set("Webhook-Signature", right);
    request.set("Webhook-Id", "msg_other");
    check_refused(answer(options, request), "signature-wrong");
    for (auto const* bad : {"", "whsec_", "whsec_???", "whsec_abc"}) {
        CHECK_THROWS_AS(hmac_options::standard_webhooks(bad), std::invalid_argument);
    }
}

TEST_CASE("hmac_auth: Stripe's field has the time and several signatures", "[hmac]") {
    auto options = hmac_options::stripe_webhooks("whsec_test");
    options.clock = [] { return std::chrono::system_clock::time_point(1'700'000'000s); };
    auto const right = mac("whsec_test", R"(1699999990.{"amount":42})");
    auto const wrong = std::string(64, '0');
    auto const say = [&](std::string const& value) {
        auto request = unkeyed_request(R"({"amount":42})");
        request.set("Stripe-Signature", value);
        return answer(options, request);
    };
    CHECK(say("t=1699999990,v1=" + right).result_int() == 201);
    CHECK(say("t=1699999990,v1=" + wrong + ",v1=" + right + ",v0=" + wrong).result_int() == 201);
    CHECK(say("v1=" + right + ", t=1699999990").result_int() == 201);
    check_refused(say("t=1700000000,v1=" + right), "signature-wrong");
    check_refused(say("t=1699999990,v0=" + right), "signature-wrong");
    check_refused(say("t=1699999990,t=1699999990,v1=" + right), "signature-wrong");
    check_refused(say("v1=" + right), "signature-wrong");
    check_refused(say(""), "signature-wrong");
    auto const old = mac("whsec_test", R"(1600000000.{"amount":42})");
    check_refused(say("t=1600000000,v1=" + old), "signature-expired");
}

TEST_CASE("hmac_auth: GitHub's field", "[hmac]") {
    // https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries, the values to test with
    auto request = unkeyed_request("Hello, World!");
    request.set("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
    CHECK(answer(hmac_options::github_webhooks("It's a Secret to Everybody"), request).result_int() == 201);
}

TEST_CASE("hmac_auth: options that contradict each other throw", "[hmac]") {
    auto const make = [](auto change) {
        hmac_options options{.secret = secret};
        change(options);
        return idempo::hmac_auth(std::move(options));
    };
    auto const preamble = [](idempo::request_head const&) { return std::string(); };
    CHECK_NOTHROW(make([&](hmac_options& options) { options.preamble = preamble; }));
    CHECK_THROWS_AS(make([&](hmac_options& options) {
                        options.preamble = preamble;
                        options.signed_fields = {"X-Id"};
                    }),
                    std::invalid_argument);
    CHECK_THROWS_AS(make([&](hmac_options& options) {
                        options.preamble = preamble;
                        options.content = idempo::signed_content::method_target_and_body;
                    }),
                    std::invalid_argument);
    CHECK_THROWS_AS(make([](hmac_options& options) { options.signed_fields = {"X Id"}; }), std::invalid_argument);
    CHECK_THROWS_AS(make([](hmac_options& options) {
                        options.list = idempo::signature_list::stripe;
                        options.timestamp_header = "X-Timestamp";
                    }),
                    std::invalid_argument);
}
