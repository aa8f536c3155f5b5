// SPDX-License-Identifier: MIT

// Which requests the middleware handles, and how it treats their keys.

#include "support/catch.hpp"
#include "support/charges.hpp"

#include <stdexcept>
#include <string>

namespace {

using namespace idempo::tests;

/// The service of most tests here: it counts its charges.
struct charging_service {
    explicit charging_service(setup how, idempo::options options = {})
        : service(how, std::move(options), charging(ledger)) {}
    text_response send(text_request request) { return service.send(std::move(request)); }

    effect_ledger ledger;
    idempo::tests::service service;
};

}  // namespace

TEST_CASE("middleware: key absent: the handler runs each time, untouched", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    charging_service tested(how);

    CHECK(tested.send(unkeyed_request()).body() == "charge 1");
    CHECK(tested.send(unkeyed_request()).body() == "charge 2");
    CHECK(tested.service.store_faults().calls(store_call::claim) == 0);
    CHECK(tested.service.events().empty());
}

TEST_CASE("middleware: the same key again is a replay", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    charging_service tested(how);

    auto const first = tested.send(keyed_request());
    auto const second = tested.send(keyed_request());
    CHECK(first.result_int() == 201);
    CHECK_FALSE(is_replay(first));
    CHECK(second.result_int() == 201);
    CHECK(second.body() == first.body());
    CHECK(is_replay(second));
    CHECK(tested.ledger.size() == 1);
}

TEST_CASE("middleware: different keys are different requests", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    charging_service tested(how);

    CHECK(tested.send(keyed_request("a")).body() == "charge 1");
    CHECK(tested.send(keyed_request("b")).body() == "charge 2");
    CHECK(tested.send(keyed_request("a")).body() == "charge 1");
    CHECK(tested.send(keyed_request("A")).body() == "charge 3");
}

TEST_CASE("middleware: a quoted key and a bare one are the same", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    charging_service tested(how);

    CHECK(tested.send(keyed_request("abc")).body() == "charge 1");
    CHECK(is_replay(tested.send(keyed_request(R"("abc")"))));
    CHECK(is_replay(tested.send(keyed_request(R"("abc";parameter=1)"))));
}

TEST_CASE("middleware: strict syntax refuses a bare key", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    idempo::options options;
    options.syntax = idempo::key_syntax::strict;
    charging_service tested(how, options);

    CHECK(tested.send(keyed_request("abc")).result_int() == 400);
    CHECK(tested.send(keyed_request(R"("abc")")).result_int() == 201);
}

TEST_CASE("middleware: custom header", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    idempo::options options;
    options.header = "X-Request-Key";
    charging_service tested(how, options);

    CHECK(tested.send(keyed_request()).body() == "charge 1");
    CHECK(tested.send(keyed_request()).body() == "charge 2");

    auto request = unkeyed_request();
    request.set("x-request-key", "key-1");
    CHECK(tested.send(request).body() == "charge 3");
    CHECK(is_replay(tested.send(request)));
}

TEST_CASE("middleware: method filter", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    idempo::options options;
    options.methods = {http::verb::delete_};
    charging_service tested(how, options);

    auto request = keyed_request();
    CHECK(tested.send(request).body() == "charge 1");
    CHECK(tested.send(request).body() == "charge 2");
    request.method(http::verb::delete_);
    CHECK(tested.send(request).body() == "charge 3");
    CHECK(is_replay(tested.send(request)));
}

TEST_CASE("middleware: GET bypass", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    idempo::options options;
    options.require_key = true;  // not of a GET
    charging_service tested(how, options);

    auto const method = GENERATE(http::verb::get, http::verb::head, http::verb::delete_, http::verb::options);
    auto request = keyed_request();
    request.method(method);
    CHECK(tested.send(request).body() == "charge 1");
    CHECK(tested.send(request).body() == "charge 2");
    CHECK(tested.service.store_faults().calls(store_call::claim) == 0);
}

TEST_CASE("middleware: POST, PUT and PATCH are covered, an Upgrade field changes nothing", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    charging_service tested(how);

    auto request = keyed_request();
    request.method(GENERATE(http::verb::post, http::verb::put, http::verb::patch));
    request.set(http::field::upgrade, "h2c");
    CHECK_FALSE(is_replay(tested.send(request)));
    CHECK(is_replay(tested.send(request)));
}

TEST_CASE("middleware: what applies says no to is none of its business", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    idempo::options options;
    options.require_key = true;
    options.applies = [](idempo::request_head const& head) { return head.target() != "/search"; };
    charging_service tested(how, options);

    auto search = keyed_request();
    search.target("/search");
    CHECK(tested.send(search).body() == "charge 1");
    CHECK(tested.send(search).body() == "charge 2");
    CHECK(tested.send(unkeyed_request()).result_int() == 400);
    CHECK_FALSE(is_replay(tested.send(keyed_request())));
    CHECK(is_replay(tested.send(keyed_request())));
}

TEST_CASE("middleware: what applies throws is answered as what a handler throws", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    idempo::options options;
    options.applies = [](idempo::request_head const&) -> bool { throw std::runtime_error("applies"); };
    charging_service tested(how, options);

    if (how.style == style::plain) {
        CHECK_THROWS_WITH(tested.service.start(keyed_request()).get(), "applies");
    } else {
        CHECK(tested.send(keyed_request()).result_int() == 500);
        CHECK(tested.service.told(idempo::event_type::handler_threw) == 1);
    }
    CHECK(tested.ledger.size() == 0);
    CHECK(tested.send(unkeyed_request()).result_int() == 201);
}

TEST_CASE("middleware: a missing key is refused where one is required", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    idempo::options options;
    options.require_key = true;
    charging_service tested(how, options);

    auto const refused = tested.send(unkeyed_request());
    CHECK(refused.result_int() == 400);
    CHECK(refused[http::field::content_type] == "application/problem+json");
    CHECK(refused[http::field::content_language] == "en");
    CHECK(refused.body().find("Idempotency-Key is missing") != std::string::npos);
    CHECK(refused.body().find("draft-ietf-httpapi-idempotency-key-header-07#section-2.7") != std::string::npos);
    CHECK(tested.ledger.size() == 0);
}

TEST_CASE("middleware: a malformed key is refused", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    charging_service tested(how);
    auto const key =
        GENERATE(values<std::string>({"", "\"\"", "\"open", "a,b", "a b", "\xC3\xA9", "\"\xC3\xA9\"", "a\tb",
                                      std::string(256, 'k'), "\"" + std::string(256, 'k') + "\""}));
    CAPTURE(key);

    auto const refused = tested.send(keyed_request(key));
    CHECK(refused.result_int() == 400);
    CHECK(refused.body().find("Idempotency-Key is malformed") != std::string::npos);
    CHECK(tested.ledger.size() == 0);
}

TEST_CASE("middleware: two key lines are refused, even if they are equal", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    charging_service tested(how);

    auto request = keyed_request("a");
    request.insert("idempotency-key", GENERATE("a", "b"));
    CHECK(tested.send(request).result_int() == 400);
    CHECK(tested.ledger.size() == 0);
}

TEST_CASE("middleware: the longest key and the largest body are served", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    idempo::options options;
    options.max_request_body = 10;
    charging_service tested(how, options);

    CHECK(tested.send(keyed_request(std::string(255, 'k'), "0123456789")).result_int() == 201);
    auto const refused = tested.send(keyed_request("k", "0123456789a"));
    CHECK(refused.result_int() == 413);
    CHECK(refused.body().find("Content Too Large") != std::string::npos);
    CHECK(tested.send(unkeyed_request("0123456789a")).result_int() == 201);
    CHECK(tested.ledger.size() == 2);
}

TEST_CASE("middleware: a refusal takes version and keep-alive from its request", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    charging_service tested(how);

    auto request = keyed_request("");
    request.version(10);
    auto refused = tested.send(request);
    CHECK(refused.version() == 10);
    CHECK_FALSE(refused.keep_alive());
    request.version(11);
    refused = tested.send(request);
    CHECK(refused.version() == 11);
    CHECK(refused.keep_alive());
    request.keep_alive(false);
    CHECK_FALSE(tested.send(request).keep_alive());
}
