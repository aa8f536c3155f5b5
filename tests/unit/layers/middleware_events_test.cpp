// SPDX-License-Identifier: MIT

// The events of each request: one outcome, and begin and end of each step.

#include "support/catch.hpp"
#include "support/charges.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace idempo::tests;
using namespace std::chrono_literals;
using idempo::event_type;

bool is_outcome(event_type type) { return type >= event_type::executed && type <= event_type::record_unreadable; }

std::vector<event_type> outcomes(service const& tested) {
    std::vector<event_type> found;
    for (auto const& event : tested.events()) {
        if (is_outcome(event.type)) found.push_back(event.type);
    }
    return found;
}

/// Each step that began has ended, and none has ended that did not begin.
bool steps_pair_up(service const& tested) {
    std::map<idempo::event_step, int> open;
    for (auto const& event : tested.events()) {
        if (event.type == event_type::step_began) ++open[event.step];
        if (event.type == event_type::step_ended && --open[event.step] < 0) return false;
    }
    return std::all_of(open.begin(), open.end(), [](auto const& step) { return step.second == 0; });
}

/// One way for a request to end.
struct ending {
    std::string name;
    event_type outcome = event_type::executed;
    unsigned status = 0;
    bool only_leased = false;
    std::function<void(idempo::options&)> choose = [](idempo::options&) {};
    std::function<void(service&)> prepare = [](service&) {};
    std::function<text_response(text_request const&, idempo::execution&)> handle =
        [](text_request const&, idempo::execution&) { return answer_with(201); };
};

text_response throws(text_request const&, idempo::execution&) { throw std::runtime_error("handler"); }

void send_first(service& tested) { tested.send(keyed_request()); }

void let_lease_end(service& tested) {
    tested.store_faults().use(every(store_call::complete, fault::fails_before));
    tested.send(keyed_request());
    tested.store_faults().heal();
    tested.store_clock().advance(30s);
}

void reconcile_by_answer(idempo::options& options) {
    options.persist_timeout = 0ms;
    options.on_takeover = idempo::on_takeover::reconcile;
    options.reconcile = [](idempo::execution const&) { return answer_with(202, "found"); };
}

std::vector<ending> endings_of_the_first() {
    return {
        {"executed", event_type::executed, 201},
        {"tombstone", event_type::tombstone, 201, false, [](auto& options) { options.max_response_body = 1; }},
        {"released by status", event_type::released, 503, false, [](auto&) {}, [](auto&) {},
         [](auto const&, auto&) { return answer_with(503); }},
        {"released by throw", event_type::released, 500, false, [](auto&) {}, [](auto&) {}, throws},
        {"held", event_type::held, 500, false, [](auto& options) { options.on_throw = idempo::on_throw::hold; },
         [](auto&) {}, throws},
        {"held as it could not be released", event_type::held, 503, false, [](auto&) {},
         [](auto& tested) { tested.store_faults().use(every(store_call::abandon, fault::fails_before)); },
         [](auto const&, auto&) { return answer_with(503); }},
        {"unprotected", event_type::unprotected, 201, false,
         [](auto& options) { options.on_store_error = idempo::on_store_error::run_unprotected; },
         [](auto& tested) { tested.store_faults().use(every(store_call::claim, fault::fails_before)); }},
        {"not persisted", event_type::not_persisted, 201, false, [](auto& options) { options.persist_timeout = 0ms; },
         [](auto& tested) { tested.store_faults().use(every(store_call::complete, fault::fails_before)); }},
        {"refused as the store is down", event_type::refused, 503, false, [](auto&) {},
         [](auto& tested) { tested.store_faults().use(every(store_call::claim, fault::fails_before)); }},
        {"refused as the body is too large", event_type::refused, 413, false,
         [](auto& options) { options.max_request_body = 1; }},
    };
}

std::vector<ending> endings_of_the_second() {
    return {
        {"replayed", event_type::replayed, 201, false, [](auto&) {}, send_first},
        {"mismatch", event_type::mismatch, 422, false, [](auto&) {},
         [](auto& tested) { tested.send(keyed_request("key-1", "other")); }},
        {"key expired", event_type::key_expired, 410, false, [](auto& options) { options.remember_expired = 48h; },
         [](auto& tested) {
             send_first(tested);
             tested.store_clock().advance(25h);
         }},
        {"not retained", event_type::refused, 409, false, [](auto& options) { options.max_response_body = 1; },
         send_first},
        {"duplicate in guard mode", event_type::refused, 409, false,
         [](auto& options) { options.on_duplicate = idempo::on_duplicate::reject; }, send_first},
        {"taken over", event_type::executed, 201, true, [](auto& options) { options.persist_timeout = 0ms; },
         let_lease_end},
        {"reconciled", event_type::replayed, 202, true, reconcile_by_answer, let_lease_end},
        {"reconciled and not persisted", event_type::not_persisted, 202, true, reconcile_by_answer,
         [](auto& tested) {
             let_lease_end(tested);
             tested.store_faults().use(every(store_call::complete, fault::fails_before));
         }},
    };
}

void check_ending(setup how, ending const& ending) {
    INFO(how << ", " << ending.name);
    idempo::options options;
    ending.choose(options);
    service tested(how, options, ending.handle);
    ending.prepare(tested);
    auto const before = outcomes(tested).size();

    CHECK(tested.send(keyed_request()).result_int() == ending.status);
    auto const told = outcomes(tested);
    REQUIRE(told.size() == before + 1);
    CHECK(told.back() == ending.outcome);
    CHECK(steps_pair_up(tested));
}

}  // namespace

TEST_CASE("middleware: each way to end is told as one outcome", "[middleware][observer]") {
    auto const how = GENERATE(from_range(every_leased_setup()));
    for (auto const& ending : endings_of_the_first()) check_ending(how, ending);
    for (auto const& ending : endings_of_the_second()) check_ending(how, ending);
}

TEST_CASE("middleware: each way to end is told as one outcome, with a store that is called directly",
          "[middleware][observer]") {
    auto const how = GENERATE(from_range(every_style()));
    for (auto const& ending : endings_of_the_first()) check_ending(how, ending);
    for (auto const& ending : endings_of_the_second()) {
        if (!ending.only_leased) check_ending(how, ending);
    }
}

TEST_CASE("middleware: a request in flight is told as such", "[middleware][observer]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    gate at;
    service tested(how, {}, [&](text_request const&, idempo::execution&) {
        at.pass();
        return answer_with(200);
    });
    auto first = tested.start(keyed_request());
    at.wait_for_arrivals();
    tested.send(keyed_request());
    CHECK(outcomes(tested) == std::vector{event_type::in_flight});
    at.open();
    answer_of(std::move(first));
    CHECK(outcomes(tested) == std::vector{event_type::in_flight, event_type::executed});
}

TEST_CASE("middleware: the steps of a first request and of a replay, in order", "[middleware][observer]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    service tested(how, {}, [](text_request const&, idempo::execution&) { return answer_with(200); });
    tested.send(keyed_request());
    tested.send(keyed_request());

    std::string told;
    for (auto const& event : tested.events()) {
        told += std::string(to_string(event.type)) + (is_outcome(event.type) ? "" : " ");
        told += is_outcome(event.type) ? "; " : std::string(to_string(event.step)) + ", ";
    }
    CHECK(told == "step_began claim, step_ended claim, step_began handler, step_ended handler, "
                  "step_began complete, step_ended complete, executed; step_began claim, step_ended claim, replayed; ");
    CHECK(tested.events().front().key == tested.events().back().key);
    CHECK(tested.events().back().status == 200);
}

TEST_CASE("middleware: an observer that throws changes nothing", "[middleware][observer]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    idempo::options options;
    options.observer = [](idempo::event const&) { throw std::runtime_error("observer"); };
    effect_ledger ledger;
    service tested(how, options, charging(ledger));

    CHECK(tested.send(keyed_request()).result_int() == 201);
    CHECK(is_replay(tested.send(keyed_request())));
}

TEST_CASE("middleware: the log holds neither key nor body nor credential", "[middleware][observer]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    std::ostringstream log;
    idempo::options options;
    options.observer = idempo::log_to(log);
    options.persist_timeout = 0ms;
    {
        service tested(how, options, [](text_request const&, idempo::execution& execution) -> text_response {
            if (execution.key() == "secret-throw") throw std::runtime_error("secret-exception");
            return answer_with(200, "secret-response");
        });
        for (auto const* key : {"secret-key", "secret-throw", "\"secret-malformed"}) {
            auto request = keyed_request(key, "secret-body");
            request.set(http::field::authorization, "secret-credential");
            tested.send(request);
            tested.send(request);
            tested.send(keyed_request(key, "secret-other"));
        }
        tested.store_faults().use(every(store_call::claim, fault::fails_before));
        tested.send(keyed_request("secret-down"));
    }
    CHECK(log.str().find("secret") == std::string::npos);
    CHECK(log.str().find("idempo executed key=") != std::string::npos);
    CHECK(log.str().find("idempo replayed key=") != std::string::npos);
    CHECK(log.str().find("idempo handler_threw key=") != std::string::npos);
    CHECK(log.str().find("idempo store_error key=") != std::string::npos);
}
