// SPDX-License-Identifier: MIT

// Recovery points, in every style over every kind of store.

#include "support/catch.hpp"
#include "support/charges.hpp"
#include "support/fault_store.hpp"
#include "support/poll_until.hpp"

#include <idempo/record/stored_response.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <future>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace idempo::tests;
using namespace std::chrono_literals;

/// Three steps that are counted, with an interruption.
struct payment {
    /// Called in each step, after its effect; may throw.
    std::function<void(std::string const& label, idempo::execution&)> after_effect = [](auto&&...) {};
    /// Called before the answer.
    std::function<text_response(idempo::execution&)> answer = [](auto&) { return answer_with(201, "paid"); };

    step_script script() {
        step_script made;
        for (std::string const label : {"authorise", "capture", "notify"}) {
            made.steps.push_back({label, [this, label](std::string const& key, idempo::execution& execution) {
                                      {
                                          std::lock_guard const lock(mutex);
                                          effects.push_back(label);
                                          keys.push_back(key);
                                      }
                                      after_effect(label, execution);
                                      return label + " of attempt " + std::to_string(execution.attempt());
                                  }});
        }
        made.answer = [this](idempo::execution& execution, std::vector<std::string> const& results) {
            {
                std::lock_guard const lock(mutex);
                found = results;
            }
            return answer(execution);
        };
        return made;
    }

    std::mutex mutex;
    std::vector<std::string> effects;
    std::vector<std::string> keys;
    std::vector<std::string> found;
};

using labels = std::vector<std::string>;

}  // namespace

TEST_CASE("steps: each runs once, and costs one store call", "[steps]") {
    auto const how = GENERATE(from_range(every_step_setup()));
    INFO(how);
    payment paid;
    service tested(how, {}, paid.script());

    CHECK(tested.send(keyed_request()).body() == "paid");
    CHECK(is_replay(tested.send(keyed_request())));
    CHECK(paid.effects == labels{"authorise", "capture", "notify"});
    CHECK(tested.store_faults().calls(store_call::save_step) == 3);
    CHECK(tested.store_faults().calls(store_call::complete) == 1);
    CHECK(tested.records().size() == 1);
}

TEST_CASE("steps: a takeover goes on after the last one that was kept", "[steps]") {
    auto const how = GENERATE(from_range(every_leased_step_setup()));
    INFO(how);
    payment paid;
    gate dies;
    paid.after_effect = [&](std::string const& label, idempo::execution& execution) {
        if (label == "capture" && execution.attempt() == 1) dies.pass();
    };
    service tested(how, {}, paid.script());
    auto zombie = tested.start(keyed_request());
    dies.wait_for_arrivals();
    tested.store_clock().advance(30s);

    CHECK(tested.send(keyed_request()).body() == "paid");
    CHECK(paid.effects == labels{"authorise", "capture", "capture", "notify"});
    CHECK(paid.keys[1] == paid.keys[2]);
    CHECK(paid.found == labels{"authorise of attempt 1", "capture of attempt 2", "notify of attempt 2"});

    dies.open();
    CHECK(answer_of(std::move(zombie)).result_int() == 409);
    CHECK(paid.effects.size() == 4);  // nothing follows a step that is fenced off
    CHECK(tested.told(idempo::event_type::fenced) == 1);
    CHECK(tested.send(keyed_request()).body() == "paid");
}

TEST_CASE("steps: a released status and an exception leave them to the retry", "[steps]") {
    auto const how = GENERATE(from_range(every_step_setup()));
    INFO(how);
    payment paid;
    bool has_failed = false;
    SECTION("a released status") {
        paid.answer = [&](auto&) { return std::exchange(has_failed, true) ? answer_with(201) : answer_with(503); };
        service tested(how, {}, paid.script());
        CHECK(tested.send(keyed_request()).result_int() == 503);
        CHECK(tested.send(keyed_request()).result_int() == 201);
        CHECK(paid.effects.size() == 3);
        CHECK(paid.found.back() == "notify of attempt 1");
    }
    SECTION("an exception of a step") {
        paid.after_effect = [&](std::string const& label, auto&) {
            if (label == "capture" && !std::exchange(has_failed, true)) throw std::runtime_error("no answer");
        };
        service tested(how, {}, paid.script());
        CHECK(tested.send(keyed_request()).result_int() == 500);
        CHECK(tested.send(keyed_request()).result_int() == 201);
        CHECK(paid.effects == labels{"authorise", "capture", "capture", "notify"});
    }
    SECTION("but not where the handler takes them back") {
        paid.answer = [&](idempo::execution& execution) {
            if (!std::exchange(has_failed, true)) execution.release();
            return answer_with(201);
        };
        service tested(how, {}, paid.script());
        CHECK(tested.send(keyed_request()).result_int() == 201);
        CHECK(tested.send(keyed_request()).result_int() == 201);
        CHECK(paid.effects.size() == 6);
        CHECK(is_replay(tested.send(keyed_request())));
    }
}

TEST_CASE("steps: whatever happens to one call of the store, no step is lost that was kept", "[steps]") {
    auto const how = GENERATE(from_range(every_leased_step_setup()));
    auto const what = GENERATE(fault::fails_before, fault::loses_reply, fault::comes_late, fault::sent_twice);
    INFO(how << ", fault " << static_cast<int>(what));
    idempo::options options;
    options.persist_timeout = 30s;
    for (std::size_t nth = 0; nth < 6; ++nth) {
        INFO("call " << nth);
        payment paid;
        service tested(how, options, paid.script());
        tested.store_faults().use(nth_call(nth, what));
        auto answer = tested.send(keyed_request());
        for (int retry = 0; retry < 3 && answer.result_int() != 201; ++retry) {
            tested.store_clock().advance(30s);
            answer = tested.send(keyed_request());
        }
        CHECK(answer.body() == "paid");
        CHECK(paid.effects == labels{"authorise", "capture", "notify"});
        CHECK(paid.found.size() == 3);
    }
}

TEST_CASE("steps: one that cannot be kept ends the execution, and the lease the claim", "[steps]") {
    auto const how = GENERATE(from_range(every_leased_step_setup()));
    INFO(how);
    payment paid;
    idempo::options options;
    options.persist_timeout = 0ms;
    service tested(how, options, paid.script());
    tested.store_faults().use(every(store_call::save_step, fault::fails_before));

    CHECK(tested.send(keyed_request()).result_int() == 500);
    CHECK(paid.effects == labels{"authorise"});
    CHECK(tested.told(idempo::event_type::held) == 1);
    tested.store_faults().heal();
    CHECK(tested.send(keyed_request()).result_int() == 409);
    tested.store_clock().advance(30s);
    CHECK(tested.send(keyed_request()).result_int() == 201);
    CHECK(paid.found.front() == "authorise of attempt 2");
    CHECK(paid.keys[0] == paid.keys[1]);
}

TEST_CASE("steps: a result that is too large is an error, and is not kept", "[steps]") {
    auto const how = GENERATE(from_range(every_step_setup()));
    INFO(how);
    idempo::options options;
    options.max_step_result = 10;
    payment paid;
    service tested(how, options, paid.script());
    CHECK(tested.send(keyed_request()).result_int() == 500);
    CHECK(tested.store_faults().calls(store_call::save_step) == 0);
}

TEST_CASE("steps: without a claim nothing is kept", "[steps]") {
    auto const how = GENERATE(from_range(every_step_setup()));
    INFO(how);
    idempo::options options;
    options.on_store_error = idempo::on_store_error::run_unprotected;
    payment paid;
    service tested(how, options, paid.script());
    tested.store_faults().use(every(store_call::claim, fault::fails_before));
    CHECK(tested.send(keyed_request()).result_int() == 201);
    CHECK(tested.store_faults().calls(store_call::save_step) == 0);
    CHECK(tested.send(unkeyed_request()).result_int() == 500);  // there is no key to derive one from
}

TEST_CASE("steps: a plain function that would have to wait for its store is told so", "[steps]") {
    auto const store = GENERATE(store_kind::leased, store_kind::erased_leased);
    payment paid;
    service tested({style::plain_with_token, store}, {}, paid.script());
    CHECK(tested.send(keyed_request()).result_int() == 500);
    CHECK(paid.effects.empty());
}

TEST_CASE("unknown: no retry runs the handler, and each is told to come back", "[steps]") {
    auto const how = GENERATE(from_range(every_step_setup()));
    auto const mode = GENERATE(idempo::on_duplicate::replay, idempo::on_duplicate::reject);
    INFO(how);
    idempo::options options;
    options.on_duplicate = mode;
    payment paid;
    paid.answer = [](idempo::execution& execution) {
        execution.unknown("the bank did not answer");
        return answer_with(504, "we do not know");
    };
    service tested(how, options, paid.script());

    auto const first = tested.send(keyed_request());
    CHECK(first.result_int() == 504);
    CHECK(first.body() == "we do not know");
    for (int retry = 0; retry < 2; ++retry) {
        auto const refused = tested.send(keyed_request());
        CHECK(refused.result_int() == 409);
        CHECK(refused["Retry-After"] == "1");
        CHECK(refused.count("x-should-retry") == 0);
        CHECK(refused.body().find("urn:idempo:problem:outcome-unknown") != std::string::npos);
        CHECK(refused.body().find("\"detail\"") != std::string::npos);
        CHECK(refused.body().find("bank") == std::string::npos);
    }
    CHECK(paid.effects.size() == 3);
    CHECK(tested.told(idempo::event_type::parked) == 1);
}

TEST_CASE("unknown: reconcile decides, with attempt, reason and steps", "[steps]") {
    auto const how = GENERATE(from_range(every_step_setup()));
    INFO(how);
    std::mutex mutex;
    std::vector<std::string> asked;
    idempo::reconciliation verdict = idempo::hold_claim{};
    idempo::options options;
    options.reconcile = [&](idempo::execution const& execution) {
        std::lock_guard const lock(mutex);
        asked.push_back(std::to_string(execution.attempt()) + ", " + std::string(execution.reason()) + ", " +
                        execution.kept_step("capture").value_or("none"));
        return verdict;
    };
    payment paid;
    bool knows = false;
    paid.answer = [&](idempo::execution& execution) {
        if (!knows) execution.unknown("no answer");
        return answer_with(knows ? 201 : 504, "attempt " + std::to_string(execution.attempt()));
    };
    service tested(how, options, paid.script());
    CHECK(tested.send(keyed_request()).result_int() == 504);
    CHECK(tested.send(keyed_request()).result_int() == 409);
    CHECK(tested.send(keyed_request()).result_int() == 409);
    CHECK(asked == labels{"1, no answer, capture of attempt 1", "1, no answer, capture of attempt 1"});

    SECTION("it gives the response") {
        verdict = answer_with(201, "found");
        CHECK(tested.send(keyed_request()).body() == "found");
        CHECK(tested.send(keyed_request()).body() == "found");
        CHECK(asked.size() == 3);
    }
    SECTION("it runs the handler again, which finds its steps") {
        verdict = idempo::run_again{};
        knows = true;
        CHECK(tested.send(keyed_request()).body() == "attempt 2");
        CHECK(paid.effects.size() == 3);
        CHECK(is_replay(tested.send(keyed_request())));
    }
    SECTION("what runs again and does not know either is parked again") {
        verdict = idempo::run_again{};
        CHECK(tested.send(keyed_request()).result_int() == 504);
        verdict = idempo::hold_claim{};
        CHECK(tested.send(keyed_request()).result_int() == 409);
        CHECK(asked.back() == "2, no answer, capture of attempt 1");
    }
}

TEST_CASE("unknown: reconcile is asked at most once at a time", "[steps]") {
    auto const how = GENERATE(from_range(every_step_setup()));
    INFO(how);
    gate asked;
    std::atomic<int> at_once{0};
    std::atomic<int> most{0};
    idempo::options options;
    options.reconcile = [&](idempo::execution const&) -> idempo::reconciliation {
        most = std::max<int>(most, ++at_once);
        asked.pass();
        --at_once;
        return answer_with(201, "found");
    };
    payment paid;
    paid.answer = [](idempo::execution& execution) {
        execution.unknown({});
        return answer_with(504);
    };
    service tested(how, options, paid.script());
    tested.send(keyed_request());

    auto first = tested.start(keyed_request());
    asked.wait_for_arrivals();
    std::vector<std::future<text_response>> others;
    for (int other = 0; other < 5; ++other) others.push_back(tested.start(keyed_request()));
    for (auto& other : others) CHECK(answer_of(std::move(other)).result_int() == 409);
    asked.open();
    CHECK(answer_of(std::move(first)).body() == "found");
    CHECK(tested.send(keyed_request()).body() == "found");
    CHECK(most == 1);
}

TEST_CASE("unknown: a request that waits sees the settlement", "[steps]") {
    auto const how = GENERATE(from_range(every_step_setup()));
    INFO(how);
    if (how.style == style::plain_with_token && how.store == store_kind::direct) return;
    idempo::options options;
    options.wait = 60s;
    std::mutex mutex;
    idempo::store_key key;
    options.observer = [&](idempo::event const& event) {
        std::lock_guard const lock(mutex);
        key = event.key;
    };
    payment paid;
    paid.answer = [](idempo::execution& execution) {
        execution.unknown("why");
        return answer_with(504);
    };
    service tested(how, options, paid.script());
    tested.send(keyed_request());
    auto waiting = tested.start(keyed_request());
    poll_until([&] { return tested.store_faults().calls(store_call::claim) >= 4; });

    auto records = tested.records();
    idempo::error_code error;
    auto const parked_key = [&] {  // the request that waits goes on telling
        std::lock_guard const lock(mutex);
        return key;
    }();
    auto const info = records.peek(parked_key, error);
    REQUIRE(info);
    CHECK(info->state == idempo::record_state::parked);
    CHECK(info->reason == "why");
    auto const response = idempo::make_record(answer_with(201, "settled by hand"), {});
    CHECK(records.settle({parked_key, info->attempt, response, 1h}, error));
    CHECK(answer_of(std::move(waiting)).body() == "settled by hand");
    CHECK(tested.told(idempo::event_type::settled) == 1);
    CHECK(tested.send(keyed_request()).body() == "settled by hand");
    CHECK(tested.told(idempo::event_type::settled) == 1);  // who has not waited has seen nothing of it
}

TEST_CASE("unknown: whatever happens to one call of the store, nothing runs twice that may have had its effect",
          "[steps]") {
    auto const how = GENERATE(from_range(every_leased_step_setup()));
    auto const what = GENERATE(fault::fails_before, fault::loses_reply, fault::comes_late, fault::sent_twice);
    INFO(how << ", fault " << static_cast<int>(what));
    std::atomic<int> asked{0};
    idempo::options options;
    options.persist_timeout = 30s;
    options.on_takeover = idempo::on_takeover::reconcile;
    options.reconcile = [&](idempo::execution const&) -> idempo::reconciliation {
        // The first time nobody knows yet.
        if (++asked == 1) return idempo::hold_claim{};
        return answer_with(201, "found");
    };
    // Claim, three steps and park; then claim, the claim that asks and Abandon; then claim, that which asks and
    // Complete.
    for (std::size_t nth = 0; nth < 12; ++nth) {
        INFO("call " << nth);
        asked = 0;
        payment paid;
        paid.answer = [](idempo::execution& execution) {
            execution.unknown("no answer");
            return answer_with(504);
        };
        service tested(how, options, paid.script());
        tested.store_faults().use(nth_call(nth, what));
        auto answer = tested.send(keyed_request());
        for (int retry = 0; retry < 6 && answer.result_int() != 201; ++retry) {
            CHECK((answer.result_int() == 504 || answer.result_int() == 409 || answer.result_int() == 503));
            tested.store_clock().advance(30s);
            answer = tested.send(keyed_request());
        }
        CHECK(answer.body() == "found");
        tested.store_faults().heal();
        CHECK(tested.send(keyed_request()).body() == "found");
        // None where the claim came late, so that nobody knows that nothing ran.
        bool const came_late = what == fault::comes_late && nth == 0;
        CHECK(paid.effects == (came_late ? labels{} : labels{"authorise", "capture", "notify"}));
        CHECK(asked >= 2);
    }
}

TEST_CASE("unknown: whatever happens to one call of the store, a settlement by hand stands", "[steps]") {
    auto const how = GENERATE(from_range(every_leased_step_setup()));
    auto const what = GENERATE(fault::fails_before, fault::loses_reply, fault::comes_late, fault::sent_twice);
    bool const with_response = GENERATE(true, false);
    INFO(how << ", fault " << static_cast<int>(what));
    idempo::options options;
    options.persist_timeout = 30s;
    for (std::size_t nth = 0; nth < 7; ++nth) {
        INFO("call " << nth);
        payment paid;
        std::atomic<bool> knows{false};
        paid.answer = [&](idempo::execution& execution) {
            if (!knows) execution.unknown("no answer");
            return answer_with(knows ? 201 : 504, "paid");
        };
        service tested(how, options, paid.script());
        tested.store_faults().use(nth_call(nth, what));
        auto& records = tested.records();
        auto const key = idempo::make_store_key("", "", "key-1");
        idempo::error_code error;
        auto const is_parked = [&] {
            auto const info = records.peek(key, error);
            return info && info->state == idempo::record_state::parked;
        };
        for (int request = 0; request < 4 && !is_parked(); ++request) {
            tested.send(keyed_request());
            tested.store_clock().advance(30s);
        }
        REQUIRE(is_parked());
        knows = true;
        auto const attempt = records.peek(key, error)->attempt;
        auto const response = idempo::make_record(answer_with(201, "settled by hand"), {});
        CHECK_FALSE(records.settle({key, attempt + 1, response, 1h}, error));
        CHECK(records.settle({key, attempt, with_response ? response : std::nullopt, 1h}, error));
        auto answer = tested.send(keyed_request());
        for (int retry = 0; retry < 3 && answer.result_int() != 201; ++retry) {
            tested.store_clock().advance(30s);
            answer = tested.send(keyed_request());
        }
        CHECK(answer.body() == (with_response ? "settled by hand" : "paid"));
        tested.store_faults().heal();
        CHECK(tested.send(keyed_request()).body() == answer.body());
        // The steps that were kept are found where the handler runs again.
        CHECK(paid.effects == labels{"authorise", "capture", "notify"});
    }
}

TEST_CASE("unknown: whatever happens to the call that settles, one settlement counts, and nothing runs beside it",
          "[steps]") {
    auto const how = GENERATE(from_range(every_step_setup()));
    auto const what = GENERATE(fault::fails_before, fault::loses_reply, fault::comes_late, fault::sent_twice);
    bool const with_response = GENERATE(true, false);
    INFO(how << ", fault " << static_cast<int>(what) << (with_response ? ", with a response" : ", freed"));
    payment paid;
    std::atomic<bool> knows{false};
    paid.answer = [&](idempo::execution& execution) {
        if (!knows) execution.unknown("no answer");
        return answer_with(knows ? 201 : 504, "paid by attempt " + std::to_string(execution.attempt()));
    };
    service tested(how, {}, paid.script());
    REQUIRE(tested.send(keyed_request()).result_int() == 504);
    knows = true;

    fault_store<true> desk(tested.records(), tested.store_faults());
    auto const key = idempo::make_store_key("", "", "key-1");
    idempo::error_code error;
    idempo::settle_request settlement{key, 1, std::nullopt, 1h};
    if (with_response) settlement.record = idempo::make_record(answer_with(201, "settled by hand"), {});
    tested.store_faults().use(next(store_call::settle, what));
    bool const is_told = desk.settle(settlement, error);
    CHECK(tested.store_faults().count(what) == 1);
    // Of a call that is sent twice, the second finds nothing to settle.
    CHECK_FALSE(is_told);
    CHECK((what == fault::sent_twice) == !error);

    SECTION("whoever settles tries again until it is no longer parked") {
        for (int tries = 0; tries < 3; ++tries) {
            auto const info = desk.peek(key, error);
            REQUIRE_FALSE(error);
            if (!info || info->state != idempo::record_state::parked) break;
            CHECK(info->attempt == 1);
            desk.settle(settlement, error);
            REQUIRE_FALSE(error);
        }
        auto const answer = tested.send(keyed_request());
        CHECK(answer.body() == (with_response ? "settled by hand" : "paid by attempt 1"));
        CHECK_FALSE(desk.settle(settlement, error));
        CHECK(tested.send(keyed_request()).body() == answer.body());
    }
    SECTION("requests that come first see either the parked record or the settlement") {
        auto answer = tested.send(keyed_request());
        if (what == fault::fails_before || what == fault::comes_late) {
            CHECK(answer.result_int() == 409);
            if (what == fault::fails_before) CHECK(desk.settle(settlement, error));
            answer = tested.send(keyed_request());
        }
        CHECK(answer.body() == (with_response ? "settled by hand" : "paid by attempt 1"));
        CHECK(tested.send(keyed_request()).body() == answer.body());
    }
    // The steps that were kept are found where the handler runs again.
    CHECK(paid.effects == labels{"authorise", "capture", "notify"});
}

TEST_CASE("unknown: what the store does not learn in time is left to the lease", "[steps]") {
    auto const how = GENERATE(from_range(every_leased_step_setup()));
    INFO(how);
    idempo::options options;
    options.persist_timeout = 0ms;
    payment paid;
    paid.answer = [](idempo::execution& execution) {
        execution.unknown("why");
        return answer_with(504);
    };
    service tested(how, options, paid.script());
    tested.store_faults().use(every(store_call::park, fault::fails_before));
    CHECK(tested.send(keyed_request()).result_int() == 504);
    CHECK(tested.told(idempo::event_type::not_persisted) == 1);
    CHECK(tested.send(keyed_request()).result_int() == 409);
}
