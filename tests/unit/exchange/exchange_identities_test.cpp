// SPDX-License-Identifier: MIT

// Where a record may be under another identity: the machine alone, as a table of reports and steps.

#include <idempo/exchange/exchange.hpp>
#include <idempo/fingerprint.hpp>

#include "support/catch.hpp"

#include <boost/endian/conversion.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using idempo::detail::exchange;
using step = exchange::step;
using lifetime = exchange::claim_lifetime;
using idempo::refusal;

constexpr std::array<std::uint32_t, 3> rules{7, 8, 9};
auto const failure = idempo::error_code(idempo::error::store_timed_out);

idempo::store_key key(unsigned char identity) {
    idempo::store_key made;
    made.bytes.fill(identity);
    return made;
}

idempo::fingerprint by_rule(std::uint32_t number) {
    idempo::fingerprint made;
    boost::endian::store_big_u32(made.bytes.data(), number);
    return made;
}

thread_local exchange::time_point test_now{};
exchange::time_point now() { return test_now; }

/// A report, the step that follows, and the key that this step is about: 0 the current identity, 1 and 2 the others.
struct move {
    std::string what;
    std::function<step(exchange&)> report;
    step next;
    int about = -1;
};

move const identified{"identified",
                      [](exchange& tested) {
                          idempo::detail::request_identity identity;
                          identity.key = key(0);
                          identity.compared = identity.asked = by_rule(7);
                          identity.rules = rules;
                          identity.others = {{key(1), 1}, {key(2), 2}};
                          return tested.identified(identity);
                      },
                      step::look, 1};

move found(std::optional<idempo::record_info> info, step next, int about) {
    return {"looked", [=](exchange& tested) { return tested.looked({}, info); }, next, about};
}
idempo::record_info record(idempo::record_state state, std::chrono::milliseconds lease = 1s) {
    return {.state = state, .lease_remaining = lease};
}
move nothing(step next, int about) { return found(std::nullopt, next, about); }
move in_flight(step next, int about) { return found(record(idempo::record_state::in_flight), next, about); }
move completed(step next, int about) { return found(record(idempo::record_state::completed), next, about); }
move gone(step next, int about) { return found(record(idempo::record_state::in_flight, -1s), next, about); }
move marked(step next, int about) { return found(record(idempo::record_state::remembered), next, about); }
move look_failed(step next, int about) {
    return {"look failed", [](exchange& tested) { return tested.looked(failure, {}); }, next, about};
}
move identified_again(std::uint32_t number, step next, int about) {
    return {"identified again",
            [=](exchange& tested) {
                CHECK(rules.at(tested.rule()) == number);
                return tested.identified_by_rule(by_rule(number));
            },
            next, about};
}
move claimed(idempo::claim_result const& result, step next, int about = -1) {
    return {"claimed", [=](exchange& tested) { return tested.claimed({}, result); }, next, about};
}
move granted(unsigned attempt, step next, int about) { return claimed(idempo::granted{attempt}, next, about); }
move abandoned(step next, int about = -1, idempo::error_code error = {}) {
    return {"abandoned", [=](exchange& tested) { return tested.abandoned(error); }, next, about};
}

struct table {
    std::string name;
    std::vector<move> moves;
    std::optional<refusal> refused{};
    /// The rule of what runs or is refused.
    std::uint32_t rule = 7;
    lifetime claim = lifetime::leased;
    std::function<void(idempo::options&)> choose = [](idempo::options&) {};
};

std::vector<table> tables() {
    move const look_2 = nothing(step::look, 2);
    move const then_claim = nothing(step::claim, 0);
    move const adopt_1 = in_flight(step::identify, 1);
    move const claim_1 = identified_again(8, step::claim, 1);
    move const none_of_2 = nothing(step::run, -1);
    return {
        {"there is none: it is claimed, looked for once more, and run",
         {identified, look_2, then_claim, granted(1, step::look, 1), look_2, none_of_2}},
        {"in flight under another identity",
         {identified, adopt_1, claim_1, claimed(idempo::in_flight{1s}, step::respond)},
         refusal::in_flight,
         8},
        {"another request under another identity",
         {identified, adopt_1, claim_1, claimed(idempo::mismatch{by_rule(8)}, step::respond)},
         refusal::key_reused,
         8},
        {"a record under another identity by the rule of a third",
         {identified, look_2, completed(step::identify, 2), identified_again(9, step::claim, 2),
          claimed(idempo::mismatch{by_rule(7)}, step::identify, 2), identified_again(7, step::claim, 2),
          claimed(idempo::in_flight{1s}, step::respond)},
         refusal::in_flight,
         7},
        {"a takeover under another identity runs as that request, once the others are known to be empty",
         {identified, gone(step::identify, 1), claim_1, granted(2, step::look, 0), nothing(step::look, 2), none_of_2},
         std::nullopt,
         8},
        {"what was found has expired: the new claim there is given up, and all begins anew",
         {identified, completed(step::identify, 1), claim_1, granted(1, step::abandon, 1), abandoned(step::identify, 0),
          identified_again(7, step::look, 1), look_2, then_claim, granted(1, step::look, 1), look_2, none_of_2}},
        {"the other release was faster: the claim is given up, and its record decides",
         {identified, look_2, then_claim, granted(1, step::look, 1), in_flight(step::abandon, 0),
          abandoned(step::identify, 1), claim_1, claimed(idempo::in_flight{1s}, step::respond)},
         refusal::in_flight,
         8},
        {"a mark under another identity decides about a key that is new otherwise: its claim is given up",
         {identified, marked(step::look, 2), then_claim, granted(1, step::look, 1), marked(step::abandon, 0),
          abandoned(step::identify, 1), claim_1, claimed(idempo::remembered{}, step::respond)},
         refusal::key_expired,
         8,
         lifetime::leased,
         [](idempo::options& chosen) { chosen.remember_expired = 240h; }},
        {"a mark under another identity does not end an attempt that was made under the current one",
         {identified, marked(step::look, 2), then_claim, granted(2, step::look, 1), marked(step::look, 2), none_of_2},
         std::nullopt,
         7,
         lifetime::leased,
         [](idempo::options& chosen) { chosen.remember_expired = 240h; }},
        {"a mark under one identity hides no record under another",
         {identified, marked(step::look, 2), completed(step::identify, 2), identified_again(9, step::claim, 2),
          claimed(idempo::in_flight{1s}, step::respond)},
         refusal::in_flight,
         9,
         lifetime::leased,
         [](idempo::options& chosen) { chosen.remember_expired = 240h; }},
        {"a mark where nobody asks for marks",
         {identified, marked(step::look, 2), then_claim, granted(1, step::look, 1), marked(step::look, 2), none_of_2}},
        {"the same where the claim cannot be given up",
         {identified, look_2, then_claim, granted(1, step::look, 1), in_flight(step::abandon, 0),
          abandoned(step::identify, 1, failure), claim_1, claimed(idempo::in_flight{1s}, step::respond)},
         refusal::in_flight,
         8},
        {"two takeovers do not wait for each other: what is held goes on",
         {identified, look_2, then_claim, granted(2, step::look, 1), gone(step::look, 2), none_of_2}},
        {"a takeover gives way to what is completed elsewhere",
         {identified, look_2, then_claim, granted(2, step::look, 1), completed(step::abandon, 0),
          abandoned(step::identify, 1), claim_1, claimed(idempo::in_flight{1s}, step::respond)},
         refusal::in_flight,
         8},
        {"a takeover under another identity gives way to the current one without a look back",
         {identified, gone(step::identify, 1), claim_1, granted(2, step::look, 0), completed(step::abandon, 1),
          abandoned(step::identify, 0), identified_again(7, step::claim, 0),
          claimed(idempo::in_flight{1s}, step::respond)},
         refusal::in_flight},
        {"who cannot look claims nothing", {identified, look_failed(step::respond, -1)}, refusal::store_unavailable},
        {"who cannot look once more gives the claim up",
         {identified, look_2, then_claim, granted(1, step::look, 1), look_failed(step::abandon, 0),
          abandoned(step::respond)},
         refusal::store_unavailable},
        {"in a transaction the look follows the claim",
         {{"identified", identified.report, step::claim, 0}, granted(1, step::look, 1), look_2, none_of_2},
         std::nullopt,
         7,
         lifetime::transaction},
        {"in a transaction what is found ends it, and is claimed in another",
         {{"identified", identified.report, step::claim, 0},
          granted(1, step::look, 1),
          completed(step::abandon, 0),
          abandoned(step::identify, 1),
          claim_1,
          claimed(idempo::in_flight{1s}, step::respond)},
         refusal::in_flight,
         8,
         lifetime::transaction},
        {"a completed record of the current identity costs no second look",
         {identified, look_2, then_claim, claimed(idempo::in_flight{1s}, step::respond)},
         refusal::in_flight},
        {"in guard mode the record alone decides",
         {identified, completed(step::identify, 1), claim_1, claimed(idempo::completed{}, step::respond)},
         refusal::duplicate,
         0,
         lifetime::leased,
         [](idempo::options& options) { options.on_duplicate = idempo::on_duplicate::reject; }},
    };
}

/// The key that the next step is about.
idempo::store_key about(exchange const& tested, step next) {
    return next == step::look ? tested.look() : tested.claim().key;
}

}  // namespace

TEST_CASE("exchange identities: every way to and from another identity", "[exchange]") {
    for (auto const& row : tables()) {
        INFO(row.name);
        idempo::options options;
        row.choose(options);
        exchange tested(options, row.claim);
        REQUIRE(tested.admit({1, "k-1", 10}) == step::identify);
        REQUIRE_FALSE(tested.is_identified());
        auto next = step::identify;
        for (auto const& each : row.moves) {
            INFO(each.what);
            next = each.report(tested);
            REQUIRE(next == each.next);
            if (each.about >= 0) CHECK(about(tested, next) == key(static_cast<unsigned char>(each.about)));
        }
        if (row.rule != 0) CHECK(idempo::rule_number(tested.claim().fingerprint) == row.rule);
        if (!row.refused) {
            CHECK(next == step::run);
            auto const expected = idempo::derive_key(tested.claim().key, by_rule(row.rule), "x");
            CHECK(tested.execution().derived_key("x") == expected);
            continue;
        }
        REQUIRE(next == step::respond);
        CHECK(tested.answer() == exchange::answer_source::refusal);
        CHECK(tested.refusal().what == *row.refused);
    }
}

TEST_CASE("exchange identities: a claim that is given up again and again ends with 409", "[exchange]") {
    idempo::options const options;
    exchange tested(options, lifetime::leased);
    REQUIRE(tested.admit({1, "k-1", 10}) == step::identify);
    auto next = identified.report(tested);
    int given_up = 0;
    for (; next != step::respond; ++given_up) {
        REQUIRE(given_up < 10);
        next = tested.looked({}, record(idempo::record_state::completed));
        REQUIRE(next == step::identify);
        REQUIRE(tested.identified_by_rule(by_rule(8)) == step::claim);
        REQUIRE(tested.claimed({}, idempo::granted{1}) == step::abandon);
        CHECK_FALSE(tested.abandon_is_best_effort());
        next = tested.abandoned({});
        if (next == step::identify) next = tested.identified_by_rule(by_rule(7));
    }
    CHECK(given_up > 1);
    CHECK(tested.refusal().what == refusal::in_flight);
    CHECK(tested.refusal().retry_after == 1s);
}

TEST_CASE("exchange identities: who may wait looks again where the record was", "[exchange]") {
    idempo::options options;
    options.wait = 1s;
    exchange tested(options, lifetime::leased, &now);
    REQUIRE(tested.admit({1, "k-1", 10}) == step::identify);
    REQUIRE(identified.report(tested) == step::look);
    REQUIRE(tested.looked({}, record(idempo::record_state::in_flight)) == step::identify);
    REQUIRE(tested.identified_by_rule(by_rule(8)) == step::claim);
    REQUIRE(tested.claimed({}, idempo::in_flight{1s}) == step::pause);
    REQUIRE(tested.paused() == step::claim);
    CHECK(tested.claim().key == key(1));
}

// Retries find the new record under the current identity, and must derive the same keys for the calls that they make.
TEST_CASE("exchange identities: who waits for a record that goes runs under the current identity alone", "[exchange]") {
    idempo::options options;
    options.on_takeover = idempo::on_takeover::reconcile;
    options.reconcile = [](auto const&) { return idempo::hold_claim{}; };
    options.wait = 1s;
    exchange tested(options, lifetime::leased, &now);
    REQUIRE(tested.admit({1, "k-1", 10}) == step::identify);
    REQUIRE(identified.report(tested) == step::look);
    REQUIRE(tested.looked({}, record(idempo::record_state::parked)) == step::identify);
    REQUIRE(tested.identified_by_rule(by_rule(8)) == step::claim);
    REQUIRE(tested.claimed({}, idempo::parked{1}) == step::claim);
    REQUIRE(tested.claimed({}, idempo::granted{2}) == step::look);
    REQUIRE(tested.looked({}, {}) == step::look);
    REQUIRE(tested.looked({}, {}) == step::reconcile);
    REQUIRE(tested.reconciled(idempo::hold_claim{}) == step::abandon);
    REQUIRE(tested.abandoned({}) == step::pause);
    REQUIRE(tested.paused() == step::claim);
    REQUIRE(tested.claimed({}, idempo::granted{1}) == step::abandon);
    REQUIRE(tested.abandoned({}) == step::identify);
    REQUIRE(tested.identified_by_rule(by_rule(7)) == step::look);
    REQUIRE(tested.looked({}, {}) == step::look);
    REQUIRE(tested.looked({}, {}) == step::claim);
    REQUIRE(tested.claimed({}, idempo::granted{1}) == step::look);
    REQUIRE(tested.looked({}, {}) == step::look);
    REQUIRE(tested.looked({}, {}) == step::run);
    CHECK(tested.execution().derived_key("charge") == idempo::derive_key(key(0), by_rule(7), "charge"));
}

TEST_CASE("exchange identities: a claim without a lease is owed one while its record is looked for elsewhere",
          "[exchange]") {
    idempo::options const options;
    exchange tested(options, lifetime::call);
    REQUIRE(tested.admit({1, "k-1", 10}) == step::identify);
    REQUIRE(identified.report(tested) == step::look);
    CHECK_FALSE(tested.owes_lease());
    REQUIRE(tested.looked({}, {}) == step::look);
    REQUIRE(tested.looked({}, {}) == step::claim);
    CHECK_FALSE(tested.owes_lease());
    REQUIRE(tested.claimed({}, idempo::granted{1}) == step::look);
    CHECK(tested.owes_lease());
    REQUIRE(tested.looked({}, record(idempo::record_state::in_flight)) == step::abandon);
    CHECK(tested.owes_lease());
    REQUIRE(tested.abandoned({}) == step::identify);
    CHECK_FALSE(tested.owes_lease());
}
