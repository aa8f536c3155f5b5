// SPDX-License-Identifier: MIT
#include <idempo/options.hpp>

#include "support/catch.hpp"
#include "support/charges.hpp"

#include <cstddef>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace idempo::tests;
using idempo::options;

std::string sentence_for(std::function<void(options&)> const& change) {
    options changed;
    change(changed);
    try {
        validate(changed);
    } catch (std::invalid_argument const& refused) {
        return refused.what();
    }
    return "none";
}

}  // namespace

TEST_CASE("options: the defaults and the Stripe profile are valid", "[options]") {
    CHECK_NOTHROW(validate(options()));
    CHECK_NOTHROW(validate(options::stripe()));
}

TEST_CASE("options: the defaults are those of the design", "[options]") {
    options const defaults;
    CHECK(defaults.header == "Idempotency-Key");
    CHECK(defaults.lease == 30s);
    CHECK(defaults.heartbeat);
    CHECK(defaults.retention == 24h);
    CHECK(defaults.wait == 0s);
    CHECK(defaults.retry_after == 1s);
    CHECK(defaults.persist_timeout == 10s);
    CHECK(defaults.max_request_body == 1U << 20U);
    CHECK(defaults.max_response_body == 1U << 20U);
    CHECK(defaults.replayed_header == "Idempotency-Replayed");
    CHECK_FALSE(defaults.store_set_cookie);
    CHECK_FALSE(defaults.require_key);
}

TEST_CASE("options: invalid options are refused with a sentence", "[options]") {
    using milliseconds = std::chrono::milliseconds;
    std::vector<std::pair<std::string, std::function<void(options&)>>> const wrong{
        {"options.header must be a field name", [](auto& changed) { changed.header = ""; }},
        {"options.header must be a field name", [](auto& changed) { changed.header = "Idempotency Key"; }},
        {"options.header must be a field name", [](auto& changed) { changed.header = "Key:"; }},
        {"options.replayed_header must be a field name", [](auto& changed) { changed.replayed_header = "a\r\nb"; }},
        {"options.original_request_header must be empty or a field name",
         [](auto& changed) { changed.original_request_header = "a b"; }},
        {"same_request.fields must be field names",
         [](auto& changed) { changed.same_request.fields.push_back("If Match"); }},
        {"same_request.fields must be field names",
         [](auto& changed) {
             changed.previous_rules.emplace_back();
             changed.previous_rules.back().fields = {""};
         }},
        {"same_request.fields cannot contain options.header",
         [](auto& changed) { changed.same_request.fields.push_back("idempotency-key"); }},
        {"scope::credential_bound takes field names",
         [](auto& changed) {
             changed.scope = idempo::scope::credential_bound({"Authorization", ""});
         }},
        {"options.methods must name a method", [](auto& changed) { changed.methods = {}; }},
        {"options.methods cannot contain HEAD, CONNECT, TRACE or unknown",
         [](auto& changed) { changed.methods.insert(http::verb::head); }},
        {"options.methods cannot contain HEAD, CONNECT, TRACE or unknown",
         [](auto& changed) { changed.methods.insert(http::verb::connect); }},
        {"options.methods cannot contain HEAD, CONNECT, TRACE or unknown",
         [](auto& changed) { changed.methods.insert(http::verb::trace); }},
        {"options.methods cannot contain HEAD, CONNECT, TRACE or unknown",
         [](auto& changed) { changed.methods.insert(http::verb::unknown); }},
        {"options.lease must be at least 10 ms", [](auto& changed) { changed.lease = 0ms; }},
        {"options.lease must be at least 10 ms", [](auto& changed) { changed.lease = 9ms; }},
        {"options.lease must be at most a year", [](auto& changed) { changed.lease = milliseconds::max(); }},
        {"options.retention must be positive", [](auto& changed) { changed.retention = -1ms; }},
        {"options.retention must be at most ten years", [](auto& changed) { changed.retention = milliseconds::max(); }},
        {"options.wait must not be negative", [](auto& changed) { changed.wait = -1ms; }},
        {"options.wait must be at most a year", [](auto& changed) { changed.wait = milliseconds::max(); }},
        {"options.retry_after must be at least a second", [](auto& changed) { changed.retry_after = 0s; }},
        {"options.should_retry_header must be empty or a field name",
         [](auto& changed) { changed.should_retry_header = "a b"; }},
        {"options.max_steps must be at least options.max_step_result", [](auto& changed) { changed.max_steps = 1; }},
        {"options.max_steps must be at most 16 MiB", [](auto& changed) { changed.max_steps = (1U << 24U) + 1; }},
        {"options.persist_timeout must not be negative", [](auto& changed) { changed.persist_timeout = -1ms; }},
        {"options.persist_timeout must be at most a year",
         [](auto& changed) { changed.persist_timeout = milliseconds::max(); }},
        {"options.write_problem must be a function", [](auto& changed) { changed.write_problem = nullptr; }},
        {"on_takeover::reconcile needs options.reconcile",
         [](auto& changed) { changed.on_takeover = idempo::on_takeover::reconcile; }},
        {"options.problems must have statuses from 400 to 599",
         [](auto& changed) { changed.problems[idempo::refusal::in_flight].status = 399; }},
        {"options.problems must have statuses from 400 to 599",
         [](auto& changed) { changed.problems[idempo::refusal::caller_unknown].status = 600; }},
    };
    for (auto const& [sentence, change] : wrong) CHECK(sentence_for(change) == sentence);
}

TEST_CASE("options: values at the limits are valid", "[options]") {
    CHECK(sentence_for([](auto& changed) { changed.lease = 10ms; }) == "none");
    CHECK(sentence_for([](auto& changed) { changed.lease = 24h * 365; }) == "none");
    CHECK(sentence_for([](auto& changed) { changed.retention = 24h * 3660; }) == "none");
    CHECK(sentence_for([](auto& changed) { changed.wait = 24h * 365; }) == "none");
    CHECK(sentence_for([](auto& changed) { changed.persist_timeout = 0ms; }) == "none");
    CHECK(sentence_for([](auto& changed) { changed.max_request_body = 0; }) == "none");
    CHECK(sentence_for([](auto& changed) { changed.header = "!#$%&'*+-.^_`|~09azAZ"; }) == "none");
    CHECK(sentence_for([](auto& changed) { changed.scope = idempo::scope::credential_bound({}); }) == "none");
}

TEST_CASE("options: principal needs a function", "[options]") {
    CHECK_THROWS_AS(idempo::scope::principal(nullptr), std::invalid_argument);
}

TEST_CASE("method_set: holds what it was given", "[options]") {
    idempo::method_set set{http::verb::post};
    CHECK(set.contains(http::verb::post));
    CHECK_FALSE(set.contains(http::verb::put));
    set.insert(http::verb::unlink);  // the last of Beast's list
    CHECK(set.contains(http::verb::unlink));
    CHECK(idempo::method_set({}).empty());
}

TEST_CASE("stored_by_default: everything but what says that it may be tried again", "[options]") {
    for (unsigned status = 200; status < 600; ++status) {
        bool const released =
            status == 401 || status == 403 || status == 408 || status == 425 || status == 429 || status >= 500;
        CHECK(idempo::stored_by_default(status) == !released);
    }
}

TEST_CASE("options: other identities are refused where they say nothing or are too many", "[options]") {
    auto const too_many = [](options& changed) {
        for (std::size_t each = 0; each <= idempo::max_previous_identities; ++each) {
            changed.previous.push_back({.key_namespace = std::to_string(each)});
        }
    };
    CHECK(sentence_for(too_many) == "options.previous and options.digest_keys have too many entries");
    CHECK(sentence_for([](options& changed) { changed.previous.emplace_back(); }) ==
          "options.previous must say what was different");
    CHECK(sentence_for([](options& changed) {
              changed.previous = {{.scope = idempo::scope::credential_bound({"not a field"})}};
          }) == "scope::credential_bound takes field names");
    CHECK(sentence_for([](options& changed) {
              changed.previous = {{.key_namespace = "old"}};
              changed.previous_rules.assign(32, {});
          }) == "options.previous_rules, options.previous and options.digest_keys make too many rules");
    CHECK(sentence_for([](options& changed) {
              changed.digest_keys = {"sixteen bytes..1", "sixteen bytes..2"};
              changed.previous = {{.digest_keys = idempo::digest_keys::none()}, {.key_namespace = "old"}};
          }) == "none");
}

namespace {

std::optional<std::string> caller_of(idempo::request_head const& head) { return std::string(head.field("X-User")); }

options payments() {
    return options::payments(caller_of, [](idempo::event const&) {});
}

text_request paying() {
    auto request = keyed_request();
    request.set("X-User", "shop");
    return request;
}

/// What a handler does, and what each try of the client meets.
struct payment {
    std::string what;
    handler_function work;
    unsigned first;
    unsigned retry;
    unsigned after_the_lease;
    int runs;
};

std::vector<payment> payment_table() {
    auto const answers = [](unsigned status) {
        return [status](text_request const&, idempo::execution&) { return answer_with(status); };
    };
    auto const throws = [](text_request const&, idempo::execution&) -> text_response {
        throw std::runtime_error("the bank hung up");
    };
    auto const keeps = [](text_request const&, idempo::execution& execution) {
        execution.keep();
        return answer_with(502);
    };
    auto const releases = [](text_request const&, idempo::execution& execution) {
        execution.release();
        return answer_with(504);
    };
    return {{"a charge", answers(201), 201, 201, 201, 1},
            {"a card that is declined", answers(402), 402, 402, 402, 1},
            {"no such account", answers(404), 404, 404, 404, 1},
            {"an exception", throws, 500, 409, 409, 1},
            {"a fault that the handler caught", answers(500), 500, 409, 409, 1},
            {"no answer that the gateway understands", answers(502), 502, 409, 409, 1},
            {"no answer in time", answers(504), 504, 409, 409, 1},
            {"a 502 of which the handler knows that the charge was made", keeps, 502, 502, 502, 1},
            {"a 504 of which the handler knows that no charge was made", releases, 504, 504, 504, 3},
            {"too busy to begin", answers(503), 503, 503, 503, 3},
            {"too many requests", answers(429), 429, 429, 429, 3}};
}

}  // namespace

TEST_CASE("payments: nothing runs again where the effect may have happened", "[options][payments]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    for (auto const& row : payment_table()) {
        INFO(row.what);
        int runs = 0;
        service tested(how, payments(), [&](text_request const& request, idempo::execution& execution) {
            ++runs;
            return row.work(request, execution);
        });
        CHECK(tested.send(paying()).result_int() == row.first);
        CHECK(tested.send(paying()).result_int() == row.retry);
        tested.store_clock().advance(payments().lease + 1ms);
        auto const late = tested.send(paying());
        CHECK(late.result_int() == row.after_the_lease);
        CHECK(runs == row.runs);
        bool const is_held = row.retry == 409;
        CHECK((late.body().find("outcome-unknown") != std::string::npos) == is_held);
        CHECK(tested.told(idempo::event_type::held) == (is_held ? 1 : 0));
        CHECK(tested.told(idempo::event_type::takeover) == 0);
    }
}

TEST_CASE("payments: where the bank can be asked, a retry after the lease gets its answer", "[options][payments]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    auto chosen = payments();
    chosen.on_takeover = idempo::on_takeover::reconcile;
    chosen.reconcile = [](idempo::execution const& earlier) -> idempo::reconciliation {
        CHECK(earlier.derived_key("charge").size() == 64);
        return answer_with(201, "found");
    };
    int runs = 0;
    service tested(how, chosen, [&](text_request const&, idempo::execution&) {
        ++runs;
        return answer_with(504);
    });
    CHECK(tested.send(paying()).result_int() == 504);
    CHECK(tested.send(paying()).result_int() == 409);
    tested.store_clock().advance(chosen.lease + 1ms);
    CHECK(tested.send(paying()).body() == "found");
    CHECK(runs == 1);
}

TEST_CASE("payments: who pays needs a key, a name, and somebody who watches", "[options][payments]") {
    effect_ledger ledger;
    service tested({}, payments(), charging(ledger));
    auto unkeyed = unkeyed_request();
    unkeyed.set("X-User", "shop");
    CHECK(tested.send(unkeyed).result_int() == 400);
    CHECK(tested.send(keyed_request()).result_int() == options().problems[idempo::refusal::caller_unknown].status);
    CHECK(ledger.size() == 0);
    CHECK_NOTHROW(validate(payments()));
    CHECK_THROWS_AS(options::payments(caller_of, {}), std::invalid_argument);
    CHECK_THROWS_AS(options::payments({}, [](idempo::event const&) {}), std::invalid_argument);
}

TEST_CASE("hold_if: a status that says nothing of the effect holds the claim, also where the function throws",
          "[options]") {
    bool const throws = GENERATE(false, true);
    options chosen;
    chosen.hold_if = [throws](unsigned status) {
        if (throws) throw std::runtime_error("of the application");
        return status == 418;
    };
    int runs = 0;
    service tested({}, chosen, [&](text_request const&, idempo::execution&) {
        ++runs;
        return answer_with(418);
    });
    CHECK(tested.send(keyed_request()).result_int() == 418);
    CHECK(tested.send(keyed_request()).result_int() == 409);
    CHECK(runs == 1);
    CHECK(tested.told(idempo::event_type::handler_threw) == (throws ? 1 : 0));
}

TEST_CASE("stripe: only POST is covered", "[options][stripe]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    effect_ledger ledger;
    service tested(how, options::stripe(), charging(ledger));
    auto request = keyed_request();
    request.method(http::verb::put);
    tested.send(request);
    CHECK(tested.send(request).body() == "charge 2");
}

TEST_CASE("stripe: a 500 is stored, also when the handler threw", "[options][stripe]") {
    auto const how = GENERATE(from_range(every_style()));
    auto const throws = GENERATE(true, false);
    INFO(how << ", throws " << throws);
    int runs = 0;
    service tested(how, options::stripe(), [&](text_request const&, idempo::execution&) {
        ++runs;
        if (throws) throw std::runtime_error("card network");
        return answer_with(500);
    });
    tested.send(keyed_request());
    auto const again = tested.send(keyed_request());
    CHECK(again.result_int() == 500);
    CHECK(again["Idempotent-Replayed"] == "true");
    CHECK(again.count("Idempotency-Replayed") == 0);
    CHECK(runs == 1);
}

TEST_CASE("stripe: a replay names the original request", "[options][stripe]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    service tested(how, options::stripe(), [](text_request const&, idempo::execution&) {
        auto response = answer_with(200);
        response.set("Request-Id", "req_1");
        return response;
    });
    CHECK(tested.send(keyed_request()).count("Original-Request") == 0);
    CHECK(tested.send(keyed_request())["Original-Request"] == "req_1");
}

TEST_CASE("stripe: a key used with another request is 400, one in flight 409, with an error member",
          "[options][stripe]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    gate at;
    service tested(how, options::stripe(), [&](text_request const&, idempo::execution&) {
        at.pass();
        return answer_with(200);
    });
    auto first = tested.start(keyed_request());
    at.wait_for_arrivals();
    auto const in_flight = tested.send(keyed_request());
    CHECK(in_flight.result_int() == 409);
    CHECK(in_flight[http::field::content_type] == "application/json");
    CHECK(in_flight.body() == R"({"error":{"type":"idempotency_error","code":"idempotency_key_in_use",)"
                              R"("message":"A request is outstanding for this Idempotency-Key"}})");
    auto const reused = tested.send(keyed_request("key-1", "other"));
    CHECK(reused.result_int() == 400);
    CHECK(reused.body() == R"({"error":{"type":"idempotency_error","message":"Idempotency-Key is already used"}})");
    at.open();
    answer_of(std::move(first));
}
