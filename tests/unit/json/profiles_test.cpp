// SPDX-License-Identifier: MIT

// The profiles, each held to its contract's text. A row's name quotes what it is about.

#include <idempo/json/acp.hpp>
#include <idempo/json/canonical_json.hpp>
#include <idempo/layers/idempotency.hpp>
#include <idempo/stores/memory_store.hpp>

#include "support/catch.hpp"
#include "support/charges.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace {

using namespace idempo::tests;

/// A service under one profile, whose handler the row chooses.
class profiled {
public:
    explicit profiled(idempo::options options) : options_(std::move(options)) {}

    effect_ledger ledger;
    std::function<text_response(idempo::execution&)> handler = [this](idempo::execution& execution) {
        return charge(ledger, execution);
    };

    text_response send(text_request request) {
        auto const handle = idempo::idempotency(store_, options_) |
                            [this](text_request&&, idempo::execution& execution) { return handler(execution); };
        try {
            return handle(std::move(request));
        } catch (std::runtime_error const&) {
            return answer_with(500, "rethrown");
        }
    }

    /// What a second request meets while the first one runs.
    text_response send_while_running(text_request const& first, text_request const& second) {
        text_response met;
        handler = [&](idempo::execution& execution) {
            met = send(second);
            return charge(ledger, execution);
        };
        send(first);
        return met;
    }

private:
    idempo::memory_store store_;
    idempo::options options_;
};

text_request acp_request(std::string_view key = "k-1", std::string_view body = R"({"a":1})",
                         std::string_view target = "/checkout_sessions", std::string_view caller = "alice") {
    auto request = keyed_request(key, body);
    request.target(target);
    request.set(http::field::authorization, caller);
    return request;
}

idempo::options acp() {
    return idempo::options::acp(
        [](idempo::request_head const& head) { return std::string(head.field("Authorization")); });
}

bool is_same_answer(text_response const& answer, std::string_view body) {
    return answer["Idempotent-Replayed"] == "true" && answer.body() == body;
}

void check_error(text_response const& refused, unsigned status, std::string_view code) {
    CHECK(refused.result_int() == status);
    CHECK(refused[http::field::content_type] == "application/json");
    auto const body = boost::json::parse(refused.body()).as_object();
    CHECK(body.size() == 3);  // its schema allows no other member but `param`
    CHECK(body.at("type").as_string() == "invalid_request");
    CHECK(body.at("code").as_string() == code);
    CHECK_FALSE(body.at("message").as_string().empty());
}

}  // namespace

TEST_CASE("acp profile: 6.1 a POST without a key is refused", "[profiles]") {
    profiled tested(acp());
    auto request = acp_request();
    request.erase("Idempotency-Key");
    auto const refused = tested.send(request);
    check_error(refused, 400, "idempotency_key_required");
    CHECK(boost::json::parse(refused.body()).at("message").as_string() ==
          "Idempotency-Key header is required on all POST requests");
    request.method(http::verb::get);
    CHECK(tested.send(request).result_int() == 201);
}

TEST_CASE("acp profile: 6.1 the key is an opaque string of at most 255 characters", "[profiles]") {
    profiled tested(acp());
    CHECK(tested.send(acp_request("any; text, \"of\" r\xc3\xa9q")).result_int() == 201);
    CHECK(tested.send(acp_request(std::string(255, 'k'))).result_int() == 201);
    check_error(tested.send(acp_request(std::string(256, 'k'))), 400, "invalid");
}

TEST_CASE("acp profile: 6.1 the same key of another identity or on another endpoint is independent", "[profiles]") {
    profiled tested(acp());
    tested.send(acp_request());
    CHECK(tested.send(acp_request("k-1", R"({"a":2})", "/checkout_sessions/1")).body() == "charge 2");
    CHECK(tested.send(acp_request("k-1", R"({"a":3})", "/checkout_sessions/1/complete")).body() == "charge 3");
    CHECK(tested.send(acp_request("k-1", R"({"a":4})", "/checkout_sessions", "bob")).body() == "charge 4");
    CHECK(is_same_answer(tested.send(acp_request()), "charge 1"));
}

TEST_CASE("acp profile: 6.2 bodies are equal by what their JSON means, and fields are excluded", "[profiles]") {
    auto const [what, other, is_equal] = GENERATE(table<std::string, std::string, bool>({
        {"key ordering", R"({"b":{"d":[1,2],"c":null},"a":1})", true},
        {"white space", R"( { "a" : 1, "b" : { "c" : null, "d" : [ 1, 2 ] } } )", true},
        {"trailing zeros", R"({"a":1.0,"b":{"c":null,"d":[1.00,2]}})", true},
        {"null and absent", R"({"a":1,"b":{"d":[1,2]}})", false},
        {"array order", R"({"a":1,"b":{"c":null,"d":[2,1]}})", false},
        {"another value", R"({"a":2,"b":{"c":null,"d":[1,2]}})", false},
        {"an extension's member (6.7)", R"({"a":1,"b":{"c":null,"d":[1,2]},"ext":1})", false},
    }));
    INFO(what);
    profiled tested(acp());
    tested.send(acp_request("k-1", R"({"a":1,"b":{"c":null,"d":[1,2]}})"));
    auto request = acp_request("k-1", other);
    request.set(http::field::host, "other.example");
    request.set("API-Version", "2026-04-17");
    request.set("If-Match", "x");
    auto const answer = tested.send(request);
    if (is_equal) {
        CHECK(is_same_answer(answer, "charge 1"));
    } else {
        check_error(answer, 422, "idempotency_conflict");
    }
    CHECK(tested.ledger.size() == 1);
}

TEST_CASE("acp profile: 6.3 a replay has the original status and Idempotent-Replayed", "[profiles]") {
    profiled tested(acp());
    auto const status = GENERATE(200U, 201U, 400U, 401U, 404U, 409U, 422U, 429U);
    tested.handler = [&](idempo::execution&) { return answer_with(status, std::to_string(tested.ledger.append("k"))); };
    auto const first = tested.send(acp_request());
    auto const again = tested.send(acp_request());
    CHECK(first.count("Idempotent-Replayed") == 0);
    CHECK(again.result_int() == status);
    CHECK(again.body() == first.body());
    CHECK(again["Idempotent-Replayed"] == "true");
}

TEST_CASE("acp profile: 6.4 a request in flight is 409 with Retry-After", "[profiles]") {
    profiled tested(acp());
    auto const refused = tested.send_while_running(acp_request(), acp_request());
    check_error(refused, 409, "idempotency_in_flight");
    CHECK(std::stoi(std::string(refused[http::field::retry_after])) >= 0);
}

TEST_CASE("acp profile: 3.1 the key is echoed in answers, replays and refusals", "[profiles]") {
    profiled tested(acp());
    CHECK(tested.send(acp_request())["Idempotency-Key"] == "k-1");
    CHECK(tested.send(acp_request())["Idempotency-Key"] == "k-1");
    CHECK(tested.send(acp_request("k-1", "[]"))["Idempotency-Key"] == "k-1");
}

TEST_CASE("acp profile: 6.5 a 5xx is not kept, and the retry runs afresh", "[profiles]") {
    profiled tested(acp());
    auto const status = GENERATE(500U, 502U, 503U, 599U);
    tested.handler = [&](idempo::execution&) { return answer_with(status); };
    tested.send(acp_request());
    tested.handler = [&](idempo::execution& execution) { return charge(tested.ledger, execution); };
    CHECK(tested.send(acp_request()).body() == "charge 1");
}

TEST_CASE("acp profile: 6.6 answers are kept for a day", "[profiles]") {
    CHECK(acp().retention >= std::chrono::hours{24});
    validate(acp());
}

TEST_CASE("acp profile: every refusal has a body that its schema allows", "[profiles]") {
    idempo::problem_table const problems;
    for (std::size_t what = 0; what < idempo::refusal_count; ++what) {
        idempo::refusal_details details;
        details.what = static_cast<idempo::refusal>(what);
        details.original_status = 201;
        text_response response;
        idempo::write_acp_error(response, problems[details.what], details);
        auto const body = boost::json::parse(response.body()).as_object();
        CAPTURE(what, response.body());
        CHECK(body.size() == 3);
        auto const type = std::string(body.at("type").as_string());
        CHECK((type == "invalid_request" || type == "processing_error" || type == "service_unavailable"));
    }
}

TEST_CASE("stripe profile: all POST requests accept keys, and other methods do not", "[profiles]") {
    profiled tested(idempo::options::stripe());
    auto request = keyed_request();
    tested.send(request);
    CHECK(is_same_answer(tested.send(request), "charge 1"));
    request.method(http::verb::put);
    CHECK(tested.send(request).body() == "charge 2");
    CHECK(tested.send(request).body() == "charge 3");
}

TEST_CASE("stripe profile: a key has up to 255 characters, whichever they are", "[profiles]") {
    profiled tested(idempo::options::stripe());
    CHECK(tested.send(keyed_request("any; text, \"of\" r\xc3\xa9q")).result_int() == 201);
    CHECK(tested.send(keyed_request(std::string(255, 'k'))).result_int() == 201);
    CHECK(tested.send(keyed_request(std::string(256, 'k'))).result_int() == 400);
}

TEST_CASE("stripe profile: status and body are saved whether the request succeeds or fails, 500 included",
          "[profiles]") {
    profiled tested(idempo::options::stripe());
    auto const status = GENERATE(200U, 400U, 401U, 402U, 404U, 429U, 500U, 503U);
    tested.handler = [&](idempo::execution&) { return answer_with(status, std::to_string(tested.ledger.append("k"))); };
    auto const first = tested.send(keyed_request());
    auto const again = tested.send(keyed_request());
    CHECK(again.result_int() == status);
    CHECK(again.body() == first.body());
    CHECK(again["Idempotent-Replayed"] == "true");
}

TEST_CASE("stripe profile: other parameters under a key are an idempotency_error with status 400", "[profiles]") {
    profiled tested(idempo::options::stripe());
    tested.send(keyed_request());
    auto other = keyed_request("key-1", "other");
    if (GENERATE(true, false)) {
        other = keyed_request();
        other.target("/v1/refunds");
    }
    auto const refused = tested.send(other);
    CHECK(refused.result_int() == 400);
    CHECK(boost::json::parse(refused.body()).at("error").at("type").as_string() == "idempotency_error");
}

TEST_CASE("stripe profile: a request that runs at the same time is 409, and its refusal is not saved", "[profiles]") {
    profiled tested(idempo::options::stripe());
    auto const refused = tested.send_while_running(keyed_request(), keyed_request());
    CHECK(refused.result_int() == 409);
    CHECK(boost::json::parse(refused.body()).at("error").at("code").as_string() == "idempotency_key_in_use");
    CHECK(is_same_answer(tested.send(keyed_request()), "charge 1"));
}

TEST_CASE("stripe profile: keys are kept for 24 hours", "[profiles]") {
    CHECK(idempo::options::stripe().retention >= std::chrono::hours{24});
    validate(idempo::options::stripe());
}
