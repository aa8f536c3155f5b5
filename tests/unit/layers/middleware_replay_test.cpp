// SPDX-License-Identifier: MIT

// A retry gets the stored response; which responses are stored.

#include "support/catch.hpp"
#include "support/charges.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace idempo::tests;

/// Answers what the test says, and counts how often it ran.
struct answering_service {
    answering_service(setup how, text_response answer, idempo::options options = {})
        : service(how, std::move(options), [this, answer = std::move(answer)](text_request const&, auto& execution) {
              ledger.append(execution.key());
              return answer;
          }) {}
    text_response send(text_request request = keyed_request()) { return service.send(std::move(request)); }

    effect_ledger ledger;
    idempo::tests::service service;
};

std::vector<std::pair<std::string, std::string>> fields_of(text_response const& response) {
    std::vector<std::pair<std::string, std::string>> fields;
    for (auto const& field : response) fields.emplace_back(field.name_string(), field.value());
    return fields;
}

}  // namespace

TEST_CASE("middleware: all custom headers replayed, repeats in their order", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    auto answer = answer_with(201);
    answer.set(http::field::location, "/charges/1");
    answer.set("X-Charge", "1");
    answer.insert(http::field::link, "<a>");
    answer.insert(http::field::link, "<b>");
    answer.insert("x-charge-list", "1");
    answer.insert("X-Charge-List", "2");
    answering_service tested(how, answer);

    tested.send();
    auto const again = tested.send();
    REQUIRE(is_replay(again));
    auto const got = fields_of(again);
    for (auto const& expected : fields_of(answer)) {
        CAPTURE(expected.first, expected.second);
        CHECK(std::count(got.begin(), got.end(), expected) == 1);
    }
    CHECK(again.count(http::field::link) == 2);
    CHECK(again.find(http::field::link)->value() == "<a>");
    CHECK(again.find("X-Charge-List")->value() == "1");
}

TEST_CASE("middleware: whole body replayed, every byte of it", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    std::string body;
    for (int byte = 0; byte < 100'000; ++byte) body += static_cast<char>(byte);
    answering_service tested(how, answer_with(200, body));

    CHECK(tested.send().body() == body);
    auto const again = tested.send();
    CHECK(is_replay(again));
    CHECK(again.body() == body);
    CHECK(again[http::field::content_length] == std::to_string(body.size()));
}

TEST_CASE("middleware: status and reason are replayed", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    auto answer = answer_with(299);
    answer.reason("Almost");
    answering_service tested(how, answer);

    tested.send();
    auto const again = tested.send();
    CHECK(again.result_int() == 299);
    CHECK(again.reason() == "Almost");
}

TEST_CASE("middleware: what belongs to one connection or one moment is not replayed", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    auto answer = answer_with(200);
    answer.set(http::field::connection, "close, X-Hop");
    answer.set("X-Hop", "1");
    std::vector<std::string> const dropped{"Keep-Alive", "Proxy-Authenticate", "TE", "Trailer", "Upgrade", "Date",
                                           "Age",        "Set-Cookie"};
    for (auto const& name : dropped) answer.set(name, "1");
    answer.set("X-Kept", "1");
    answering_service tested(how, answer);

    tested.send();
    auto const again = tested.send();
    REQUIRE(is_replay(again));
    for (auto const& name : dropped) {
        CAPTURE(name);
        CHECK(again.count(name) == 0);
    }
    CHECK(again.count("X-Hop") == 0);
    CHECK(again.count("X-Kept") == 1);
    CHECK(again.keep_alive());
}

TEST_CASE("middleware: the first response reaches its client with all its fields", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    auto answer = answer_with(200);
    answer.set(http::field::set_cookie, "session=1");
    answer.set(http::field::date, "Thu, 01 Jan 1970 00:00:00 GMT");
    answering_service tested(how, answer);

    auto const first = tested.send();
    CHECK(first[http::field::set_cookie] == "session=1");
    CHECK(first.count(http::field::date) == 1);
    CHECK_FALSE(is_replay(first));
}

TEST_CASE("middleware: a cookie is stored where that is asked for", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    auto answer = answer_with(200);
    answer.set(http::field::set_cookie, "session=1");
    idempo::options options;
    options.store_set_cookie = true;
    answering_service tested(how, answer, options);

    tested.send();
    CHECK(tested.send()[http::field::set_cookie] == "session=1");
}

TEST_CASE("middleware: a replay takes version and keep-alive from its own request", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    answering_service tested(how, answer_with(200));
    tested.send();

    auto request = keyed_request();
    request.version(10);
    auto const old = tested.send(request);
    CHECK(old.version() == 10);
    CHECK_FALSE(old.keep_alive());
    request.keep_alive(true);
    CHECK(tested.send(request).keep_alive());
    request.version(11);
    request.keep_alive(false);
    CHECK_FALSE(tested.send(request).keep_alive());
}

TEST_CASE("middleware: the replayed field has the name that was chosen", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    idempo::options options;
    options.replayed_header = "X-From-Store";
    options.original_request_header = "X-Original";
    auto answer = answer_with(200);
    answer.set("Request-Id", "req_1");
    answering_service tested(how, answer, options);

    CHECK(tested.send().count("X-Original") == 0);
    auto const again = tested.send();
    CHECK(again["X-From-Store"] == "true");
    CHECK(again["X-Original"] == "req_1");
    CHECK(again.count(replayed) == 0);
}

TEST_CASE("middleware: a response without a body is replayed without one", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    answering_service tested(how, answer_with(204, ""));

    tested.send();
    auto const again = tested.send();
    CHECK(is_replay(again));
    CHECK(again.result_int() == 204);
    CHECK(again.body().empty());
    CHECK(again.count(http::field::content_length) == 0);
}

TEST_CASE("middleware: statuses that are stored", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    auto const status = GENERATE(200U, 201U, 202U, 204U, 299U, 302U, 304U, 400U, 402U, 404U, 409U, 422U, 499U);
    INFO(how << ", " << status);
    answering_service tested(how, answer_with(status, ""));

    tested.send();
    CHECK(is_replay(tested.send()));
    CHECK(tested.ledger.size() == 1);
    CHECK(tested.service.told(idempo::event_type::executed) == 1);
}

TEST_CASE("middleware: statuses that release the claim", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    auto const status = GENERATE(401U, 403U, 408U, 425U, 429U, 500U, 503U, 599U);
    INFO(how << ", " << status);
    answering_service tested(how, answer_with(status));

    CHECK(tested.send().result_int() == status);
    auto const again = tested.send();
    CHECK(again.result_int() == status);
    CHECK_FALSE(is_replay(again));
    CHECK(tested.ledger.size() == 2);
    CHECK(tested.service.told(idempo::event_type::released) == 2);
}

TEST_CASE("middleware: store_if decides about statuses", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    idempo::options options;
    options.store_if = [](unsigned status) { return status == 500; };
    auto const status = GENERATE(200U, 500U);
    answering_service tested(how, answer_with(status), options);

    tested.send();
    CHECK(is_replay(tested.send()) == (status == 500));
}

TEST_CASE("middleware: a store_if that throws means that the response is stored", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    idempo::options options;
    options.store_if = [](unsigned) -> bool { throw std::runtime_error("store_if"); };
    answering_service tested(how, answer_with(201), options);

    CHECK(tested.send().result_int() == 201);
    CHECK(is_replay(tested.send()));
    CHECK(tested.ledger.size() == 1);
}

TEST_CASE("middleware: execution::keep and execution::release overrule the status", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    effect_ledger ledger;
    auto const keeps = GENERATE(true, false);
    service tested(how, {}, [&](text_request const&, idempo::execution& execution) {
        ledger.append(execution.key());
        keeps ? execution.keep() : execution.release();
        return answer_with(keeps ? 500 : 200);
    });

    tested.send(keyed_request());
    CHECK(is_replay(tested.send(keyed_request())) == keeps);
    CHECK(ledger.size() == (keeps ? 1U : 2U));
}

TEST_CASE("middleware: oversized response reaches the client whole, and a retry is told", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    idempo::options options;
    options.max_response_body = 10;
    answering_service tested(how, answer_with(201, "0123456789a"), options);

    CHECK(tested.send().body() == "0123456789a");
    auto const again = tested.send();
    CHECK(again.result_int() == 409);
    CHECK(again.body().find("The response to this request was not retained") != std::string::npos);
    CHECK(again.body().find("urn:idempo:problem:response-not-retained") != std::string::npos);
    CHECK(again.body().find("\"original_status\":201") != std::string::npos);
    CHECK(tested.ledger.size() == 1);
    CHECK(tested.service.told(idempo::event_type::tombstone) == 1);
}

TEST_CASE("middleware: a response at the limit is stored", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    idempo::options options;
    options.max_response_body = 10;
    answering_service tested(how, answer_with(201, "0123456789"), options);

    tested.send();
    CHECK(tested.send().body() == "0123456789");
}

TEST_CASE("middleware: a response that cannot be stored leaves a tombstone", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    auto answer = answer_with(200);
    SECTION("a 101") { answer.result(101); }
    SECTION("a field that would split the response") { answer.set("X-Split", "ok\r\nSet-Cookie: pwn=1"); }
    if (answer.result_int() == 101) answer.body().clear();
    effect_ledger ledger;
    if (how.style != style::plain) return;  // what such a response is to a client is another question
    answering_service tested(how, answer);

    CHECK(tested.send().result_int() == answer.result_int());
    CHECK(tested.send().result_int() == 409);
    CHECK(tested.ledger.size() == 1);
}

TEST_CASE("middleware: unstorable::release lets a retry run, unless the handler said keep", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    auto const keeps = GENERATE(true, false);
    INFO(how << ", keeps " << keeps);
    idempo::options options;
    options.max_response_body = 1;
    options.unstorable = idempo::unstorable::release;
    effect_ledger ledger;
    service tested(how, options, [&](text_request const&, idempo::execution& execution) {
        ledger.append(execution.key());
        if (keeps) execution.keep();
        return answer_with(200, "too long");
    });

    CHECK(tested.send(keyed_request()).body() == "too long");
    CHECK(tested.send(keyed_request()).result_int() == (keeps ? 409 : 200));
    CHECK(ledger.size() == (keeps ? 1U : 2U));
}
