// SPDX-License-Identifier: MIT

// What stores and banks keep beyond an upgrade: fingerprints, store keys, derived keys and records. The values were
// computed by another program from the documented rules, and nothing here makes them anew.
//
// A change of any of them is a breaking change: after it, retries get 422 or run again, a takeover asks the bank with
// another key, and stored answers cannot be read. Do not adapt a value to the code. Give the rule a new version that
// reads the old one, and add vectors.

#include <idempo/digest_key.hpp>
#include <idempo/fingerprint.hpp>
#include <idempo/identifiers.hpp>
#include <idempo/key.hpp>
#include <idempo/record/stored_response.hpp>
#include <idempo/same_request.hpp>

#include "support/catch.hpp"

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace http = boost::beast::http;

constexpr std::string_view secret = "0123456789abcdef0123456789abcdef";

struct vectors {
    std::optional<idempo::digest_key> key;
    std::string_view store_key;
    std::string_view store_key_of_endpoint;
    std::string_view fingerprint;
    std::string_view derived_key;
    std::string_view fingerprint_by_custom_rule;
};

std::vector<vectors> all_vectors() {
    return {{std::nullopt, "70152d9acde6d768f55a41b420a6cc2c7d55817fd11b02abe539f422810e56ab",
             "28ef57e20a6f43d14375aa9a7ca4b77d7e52911aebfe4def9a3289150643b1d8",
             "6c2ff6d0a1ad2d150636d208571b208a4c25a36f5c111a9f03171173a4a548a4",
             "be7e3860ecce6c99778072136fed9bb62690710df7408ae5a9a1dbc3d579984c",
             "21d4251e781df28f87831348305f0a0c06ed85ae6c3186d1a8cacffb1258d9cb"},
            {idempo::digest_key(secret), "ec1ba7f07f5f7d8722b7c912c6bfbbe27b0b33c128baea0a42f47b57ff562fef",
             "ff8f0561c4f9eeec10d22d5eab7dcb897f99990c05f1add3d14ea637c7a3a8bf",
             "b1c75ec055de928784cd0d0948a5490feb1c3a9885136c9e4886426b730aff87",
             "231c0ed15e0d0ebf0cf6cbaca900d4282531131eaffec816908cf76226b11798",
             "6f7bcd1349af6d7689427d1acd00a239e180382050f552d14bf53827d14c1a42"}};
}

http::request<http::string_body> order() {
    http::request<http::string_body> request(http::verb::post, "/orders?dry=1", 11);
    request.set(http::field::host, "shop.example");
    request.set(http::field::content_type, "application/json");
    request.set(http::field::authorization, "Bearer alice");
    request.body() = R"({"amount":4200})";
    return request;
}

std::string hex(std::string_view bytes) { return idempo::to_hex(bytes); }

}  // namespace

TEST_CASE("golden vectors: store key, fingerprint and derived key, without and with a secret", "[golden]") {
    for (auto const& expected : all_vectors()) {
        INFO((expected.key ? "with a secret" : "without a secret"));
        auto const* const key = expected.key ? &*expected.key : nullptr;
        auto const made = idempo::make_store_key("shop", "alice", "order-1", {}, key);
        CHECK(hex(made.view()) == expected.store_key);
        CHECK(
            hex(idempo::make_store_key("shop", "alice", "order-1", idempo::endpoint{"POST", "/orders"}, key).view()) ==
            expected.store_key_of_endpoint);

        std::vector<std::string> const credentials{"Authorization", "X-Api-Key"};
        auto const asked = idempo::fingerprint_rule({}, credentials, expected.key)(order());
        CHECK(hex(asked.view()) == expected.fingerprint);
        CHECK(idempo::derive_key(made, asked, "charge") == expected.derived_key);

        idempo::same_request by_length;
        by_length.body = idempo::body_rule::custom("length", [](auto const&, std::string_view body, auto& hash) {
            hash.add(std::to_string(body.size()));
            return true;
        });
        CHECK(hex(idempo::fingerprint_rule(by_length, credentials, expected.key)(order()).view()) ==
              expected.fingerprint_by_custom_rule);
    }
}

TEST_CASE("golden vectors: the record of a response and a tombstone", "[golden]") {
    http::response<http::string_body> response(http::status::created, 11);
    response.set(http::field::content_type, "application/json");
    response.set(http::field::location, "/charges/1");
    response.body() = R"({"id":"ch_1"})";
    auto const record = idempo::make_record(response, {});
    REQUIRE(record);
    CHECK(hex(record->view()) ==
          "0100c900070002000d000000437265617465640c001000436f6e74656e742d547970656170706c69636174696f6e2f6a736f"
          "6e08000a004c6f636174696f6e2f636861726765732f317b226964223a2263685f31227dbf56bf36e1d216d9");
    CHECK(hex(idempo::make_tombstone(201).view()) == "0101c9000000000000000000cd959b8d11251416");
}

TEST_CASE("golden vectors: the record of a response and a tombstone with a trace", "[golden]") {
    constexpr std::string_view trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    http::response<http::string_body> response(http::status::created, 11);
    response.set(http::field::content_type, "application/json");
    response.set(http::field::location, "/charges/1");
    response.body() = R"({"id":"ch_1"})";
    auto const record = idempo::make_record(response, {.traceparent = trace});
    REQUIRE(record);
    CHECK(hex(record->view()) ==
          "0100c900070003000d000000437265617465640c001000436f6e74656e742d547970656170706c69636174696f6e2f6a736f"
          "6e08000a004c6f636174696f6e2f636861726765732f31120037004964656d706f2d5472616365706172656e7430302d3462"
          "6639326633353737623334646136613363653932396430653065343733362d303066303637616130626139303262372d3031"
          "7b226964223a2263685f31227de4b21f36a5b7f081");
    CHECK(hex(idempo::make_tombstone(201, trace).view()) ==
          "0102c900000000003700000030302d34626639326633353737623334646136613363653932396430653065343733362d3030"
          "66303637616130626139303262372d3031f3a52b9b13d4d776");
}
