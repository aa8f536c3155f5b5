// SPDX-License-Identifier: MIT

// The saving of one step, with no store and no time but the test's own.

#include <idempo/exchange/step_saving.hpp>

#include "support/catch.hpp"

#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using idempo::detail::step_saving;
using next = step_saving::next;

thread_local step_saving::time_point saving_now{};
step_saving::time_point now() { return saving_now; }

constexpr idempo::error failure = idempo::error::store_timed_out;

struct scene {
    scene() {
        saving_now = {};
        options.persist_timeout = 10s;
        options.observer = [this](idempo::event const& event) { events.push_back(event); };
        claim.fencing_token = idempo::make_fencing_token();
    }

    std::vector<idempo::event> events;
    idempo::options options;
    idempo::claim_request claim;
};

}  // namespace

TEST_CASE("step_saving: asks for what the claim holds") {
    scene with;
    with.claim.fingerprint = {{3}};
    step_saving tested(with.options, with.claim, 2, {7, 1}, idempo::shared_bytes("entry"), &now);
    CHECK(tested.request().fencing_token == with.claim.fencing_token);
    CHECK(tested.request().fingerprint == with.claim.fingerprint);
    CHECK(tested.request().offset == 7);
    CHECK(tested.request().index == 1);
    CHECK(tested.request().step.view() == "entry");
    CHECK(tested.saved({}, true) == next::end);
    CHECK(tested.is_kept());
    REQUIRE(with.events.size() == 2);
    CHECK(with.events[1].step == idempo::event_step::save_step);
    CHECK(with.events[1].attempt == 2);
}

TEST_CASE("step_saving: its events have the request's trace") {
    scene with;
    std::vector<std::string> told;
    with.options.observer = [&told](idempo::event const& event) { told.emplace_back(event.traceparent); };
    std::string const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    step_saving tested(with.options, with.claim, 1, {}, {}, &now, idempo::detail::traceparent::parse(trace));
    CHECK(tested.saved({}, true) == next::end);
    CHECK(told == std::vector{trace, trace});
}

TEST_CASE("step_saving: a claim that is lost is no error") {
    scene with;
    step_saving tested(with.options, with.claim, 1, {}, {}, &now);
    CHECK(tested.saved({}, false) == next::end);
    CHECK_FALSE(tested.is_kept());
    CHECK_FALSE(tested.error());
}

TEST_CASE("step_saving: tries again until the time is up, at its end once more") {
    scene with;
    step_saving tested(with.options, with.claim, 1, {}, {}, &now);
    int tries = 1;
    while (tested.saved(failure, false) == next::pause) {
        ++tries;
        saving_now += tested.pause();
        REQUIRE(tested.paused() == next::save);
    }
    CHECK(tries > 10);
    CHECK(saving_now.time_since_epoch() == 10s);
    CHECK(tested.error() == failure);
    CHECK_FALSE(tested.is_kept());
}

TEST_CASE("step_saving: a second try that is answered is as good as a first") {
    scene with;
    step_saving tested(with.options, with.claim, 1, {}, {}, &now);
    REQUIRE(tested.saved(failure, false) == next::pause);
    REQUIRE(tested.paused() == next::save);
    CHECK(tested.saved({}, true) == next::end);
    CHECK(tested.is_kept());
    CHECK_FALSE(tested.error());
}
