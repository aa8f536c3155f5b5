// SPDX-License-Identifier: MIT

// Requests that are not the first of their key, and handlers that throw.

#include "support/catch.hpp"
#include "support/charges.hpp"

#include <chrono>
#include <future>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace idempo::tests;
using namespace std::chrono_literals;

/// A service whose handler waits at a gate before its effect.
struct gated_service {
    explicit gated_service(setup how, idempo::options options = {})
        : service(how, std::move(options), [this](text_request const&, idempo::execution& execution) {
              at.pass();
              return charge(ledger, execution);
          }) {}

    effect_ledger ledger;
    gate at;
    idempo::tests::service service;
};

bool has(text_response const& response, std::string const& text) {
    return response.body().find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("middleware: a duplicate of a request in flight is refused", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    gated_service tested(how);
    auto first = tested.service.start(keyed_request());
    tested.at.wait_for_arrivals();

    auto const refused = tested.service.send(keyed_request());
    CHECK(refused.result_int() == 409);
    CHECK(refused[http::field::retry_after] == "1");
    CHECK(has(refused, "A request is outstanding for this Idempotency-Key"));
    CHECK(has(refused, "#section-2.7"));
    CHECK(tested.service.send(keyed_request("key-1", "other")).result_int() == 422);

    tested.at.open();
    CHECK(answer_of(std::move(first)).result_int() == 201);
    CHECK(is_replay(tested.service.send(keyed_request())));
    CHECK(tested.ledger.size() == 1);
}

TEST_CASE("middleware: Retry-After is what was asked for, or what remains of the lease, and never 0", "[middleware]") {
    auto const how = GENERATE(from_range(every_leased_setup()));
    INFO(how);
    idempo::options options;
    options.retry_after = 20s;
    options.lease = 30s;
    gated_service tested(how, options);
    auto first = tested.service.start(keyed_request());
    tested.at.wait_for_arrivals();

    CHECK(tested.service.send(keyed_request())[http::field::retry_after] == "20");
    tested.service.store_clock().advance(25s);
    CHECK(tested.service.send(keyed_request())[http::field::retry_after] == "5");
    tested.service.store_clock().advance(4500ms);
    CHECK(tested.service.send(keyed_request())[http::field::retry_after] == "1");

    tested.at.open();
    CHECK(answer_of(std::move(first)).result_int() == 201);
}

TEST_CASE("middleware: a key used with another request is refused", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    effect_ledger ledger;
    service tested(how, {}, charging(ledger));
    tested.send(keyed_request());

    auto request = keyed_request();
    SECTION("another body") { request.body() += ' '; }
    SECTION("another target") { request.target("/charge?currency=eur"); }
    SECTION("another method") { request.method(http::verb::put); }
    SECTION("another credential") { request.set(http::field::authorization, "Bearer other"); }
    auto const refused = tested.send(request);
    CHECK(refused.result_int() == 422);
    CHECK(has(refused, "Idempotency-Key is already used"));
    CHECK(has(refused, "#section-2.7"));
    CHECK(ledger.size() == 1);
}

TEST_CASE("middleware: fields that do not say what is asked for make no other request", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    effect_ledger ledger;
    service tested(how, {}, charging(ledger));
    tested.send(keyed_request());

    auto request = keyed_request();
    request.set(http::field::user_agent, "another");
    request.set("Traceparent", "00-1-1-00");
    request.version(10);
    CHECK(is_replay(tested.send(request)));
}

TEST_CASE("middleware: wait replays once the first request is done", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    idempo::options options;
    options.wait = 1min;
    gate waits;
    options.observer = [&](idempo::event const& event) {
        if (event.type == idempo::event_type::step_began && event.step == idempo::event_step::wait) {
            waits.open();
            waits.pass();
        }
    };
    gated_service tested(how, options);
    auto first = tested.service.start(keyed_request());
    tested.at.wait_for_arrivals();
    auto second = tested.service.start(keyed_request());
    waits.wait_for_arrivals(2);

    tested.at.open();
    CHECK(answer_of(std::move(first)).result_int() == 201);
    CHECK(is_replay(answer_of(std::move(second))));
    CHECK(tested.ledger.size() == 1);
}

TEST_CASE("middleware: wait ends with 409 when its time is over", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    idempo::options options;
    options.wait = 20ms;
    gated_service tested(how, options);
    auto first = tested.service.start(keyed_request());
    tested.at.wait_for_arrivals();

    CHECK(tested.service.send(keyed_request()).result_int() == 409);
    CHECK(tested.service.store_faults().calls(store_call::claim) > 2);
    tested.at.open();
    CHECK(answer_of(std::move(first)).result_int() == 201);
}

TEST_CASE("middleware: a waiting request runs when the first one releases its claim", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    idempo::options options;
    options.wait = 1min;
    gate at;
    std::atomic<int> runs{0};
    service tested(how, options, [&](text_request const&, idempo::execution&) {
        at.pass();
        return answer_with(++runs == 1 ? 500 : 201);
    });
    auto first = tested.start(keyed_request());
    at.wait_for_arrivals();
    auto second = tested.start(keyed_request());

    at.open();
    CHECK(answer_of(std::move(first)).result_int() == 500);
    CHECK(answer_of(std::move(second)).result_int() == 201);
}

TEST_CASE("middleware: guard mode refuses every duplicate of a success and stores no response", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    idempo::options options;
    options.on_duplicate = idempo::on_duplicate::reject;
    effect_ledger ledger;
    service tested(how, options, charging(ledger));

    CHECK(tested.send(keyed_request()).result_int() == 201);
    auto const body = GENERATE(R"({"amount":42})", "another");
    auto const refused = tested.send(keyed_request("key-1", body));
    CHECK(refused.result_int() == 409);
    CHECK(has(refused, "Idempotency-Key is already used"));
    CHECK(has(refused, "#section-2.7"));
    CHECK(ledger.size() == 1);
    CHECK(tested.records().bytes() == idempo::memory_store::record_overhead + idempo::small_record_bytes);
}

TEST_CASE("middleware: guard mode keeps the key of a 2xx only", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    auto const status = GENERATE(200U, 299U, 302U, 404U, 422U, 500U);
    INFO(how << ", " << status);
    idempo::options options;
    options.on_duplicate = idempo::on_duplicate::reject;
    service tested(how, options, [=](text_request const&, idempo::execution&) { return answer_with(status); });

    CHECK(tested.send(keyed_request()).result_int() == status);
    CHECK(tested.send(keyed_request()).result_int() == (status < 300 ? 409 : status));
}

TEST_CASE("middleware: throw releases: the exception is passed on and a retry runs", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    int runs = 0;
    service tested(how, {}, [&](text_request const&, idempo::execution&) -> text_response {
        if (++runs == 1) throw std::runtime_error("before the effect");
        return answer_with(201);
    });

    if (how.style == style::plain) {
        CHECK_THROWS_WITH(tested.start(keyed_request()).get(), "before the effect");
    } else {
        auto const failed = tested.send(keyed_request());
        CHECK(failed.result_int() == 500);
        CHECK(failed[http::field::content_type] == "application/problem+json");
        CHECK(has(failed, "Internal Server Error"));
        CHECK_FALSE(has(failed, "before the effect"));
    }
    CHECK(tested.send(keyed_request()).result_int() == 201);
    CHECK(runs == 2);
    CHECK(tested.told(idempo::event_type::handler_threw) == 1);
    CHECK(tested.told(idempo::event_type::released) == 1);
}

TEST_CASE("middleware: the observer gets the exception of the handler", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    service tested(how, {}, [](text_request const&, idempo::execution&) -> text_response {
        throw std::runtime_error("the reason");
    });

    tested.send(keyed_request());
    for (auto const& event : tested.events()) {
        if (event.type != idempo::event_type::handler_threw) continue;
        CHECK_THROWS_WITH(std::rethrow_exception(event.exception), "the reason");
    }
    CHECK(tested.told(idempo::event_type::handler_threw) == 1);
}

TEST_CASE("middleware: a handler that throws without a key is passed on too", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    service tested(how, {}, [](text_request const&, idempo::execution&) -> text_response {
        throw std::runtime_error("the reason");
    });

    if (how.style == style::plain) {
        CHECK_THROWS_WITH(tested.start(unkeyed_request()).get(), "the reason");
    } else {
        CHECK(tested.send(unkeyed_request()).result_int() == 500);
        CHECK(tested.told(idempo::event_type::handler_threw) == 1);
    }
}

TEST_CASE("middleware: on_throw::hold leaves the claim to its lease", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    idempo::options options;
    options.on_throw = idempo::on_throw::hold;
    options.lease = 30s;
    int runs = 0;
    service tested(how, options, [&](text_request const&, idempo::execution&) -> text_response {
        if (++runs == 1) throw std::runtime_error("who knows");
        return answer_with(201);
    });

    CHECK(tested.send(keyed_request()).result_int() == 500);
    CHECK(tested.send(keyed_request()).result_int() == 409);
    tested.store_clock().advance(29s);
    CHECK(tested.send(keyed_request()).result_int() == 409);
    tested.store_clock().advance(1s);
    CHECK(tested.send(keyed_request()).result_int() == 201);
    CHECK(tested.told(idempo::event_type::held) == 1);
    CHECK(tested.told(idempo::event_type::takeover) == 1);
}

TEST_CASE("middleware: on_throw::store_500 gives every retry the 500", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    idempo::options options;
    options.on_throw = idempo::on_throw::store_500;
    int runs = 0;
    service tested(how, options, [&](text_request const&, idempo::execution&) -> text_response {
        ++runs;
        throw std::runtime_error("after the effect");
    });

    CHECK(tested.send(keyed_request()).result_int() == 500);
    auto const again = tested.send(keyed_request());
    CHECK(again.result_int() == 500);
    CHECK(is_replay(again));
    CHECK(again[http::field::content_type] == "application/problem+json");
    CHECK(runs == 1);
}

TEST_CASE("middleware: execution::keep and execution::release overrule on_throw", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    auto const keeps = GENERATE(true, false);
    INFO(how << ", keeps " << keeps);
    idempo::options options;
    options.on_throw = keeps ? idempo::on_throw::release : idempo::on_throw::store_500;
    int runs = 0;
    service tested(how, options, [&](text_request const&, idempo::execution& execution) -> text_response {
        ++runs;
        keeps ? execution.keep() : execution.release();
        throw std::runtime_error("");
    });

    tested.send(keyed_request());
    CHECK(is_replay(tested.send(keyed_request())) == keeps);
    CHECK(runs == (keeps ? 1 : 2));
}

TEST_CASE("middleware: statuses and titles of refusals can be chosen", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    idempo::options options;
    options.problems[idempo::refusal::key_reused] = {400, "Not \"yours\"", "https://example.org/reused"};
    effect_ledger ledger;
    service tested(how, options, charging(ledger));
    tested.send(keyed_request());

    auto const refused = tested.send(keyed_request("key-1", "other"));
    CHECK(refused.result_int() == 400);
    CHECK(refused.body() == R"({"type":"https://example.org/reused","title":"Not \"yours\"","status":400})");
}

TEST_CASE("middleware: a refusal says nothing of key or body", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    effect_ledger ledger;
    service tested(how, {}, charging(ledger));
    tested.send(keyed_request("secret-key", "secret-body"));

    auto const refused = tested.send(keyed_request("secret-key", "other-body"));
    CHECK_FALSE(has(refused, "secret"));
    CHECK_FALSE(has(refused, "other"));
}
