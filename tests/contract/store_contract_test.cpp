// SPDX-License-Identifier: MIT
#include "model_store.hpp"
#include "support/manual_clock.hpp"

#include <idempo/store.hpp>
#include <idempo/testing/contract_lines.hpp>
#include <idempo/testing/store_contract.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

// The contract suite itself: a store without a flaw passes it, and each of its lines catches some flaw.

using namespace std::chrono_literals;
using idempo::tests::flaw;
using idempo::tests::model_store;

namespace {

class model_fixture {
public:
    explicit model_fixture(flaw broken) : broken_(broken) {}

    model_store& store() { return store_; }
    model_store bounded_store(std::size_t records) { return model_store(clock(), broken_, records); }
    void advance(std::chrono::milliseconds span) { clock_.advance(span); }
    static std::chrono::milliseconds time_unit() { return 20ms; }

private:
    [[nodiscard]] std::function<std::chrono::milliseconds()> clock() const {
        return [clock = clock_] { return clock.since_start(); };
    }

    flaw broken_;
    idempo::tests::manual_clock clock_;
    model_store store_{clock(), broken_};
};

/// A store on the real clock, on a machine that stalls for a while the first time that it is waited for.
class stalling_fixture {
public:
    explicit stalling_fixture(flaw broken) : store_(since_start, broken) {}

    model_store& store() { return store_; }
    static std::chrono::milliseconds time_unit() { return 20ms; }

    void advance(std::chrono::milliseconds span) {
        // Longer than the leases and retentions of any check with deadlines.
        if (!std::exchange(has_stalled_, true)) span += 20 * time_unit();
        std::this_thread::sleep_for(span);  // the store's clock is the real one
    }

    [[nodiscard]] bool has_stalled() const { return has_stalled_; }

private:
    static std::chrono::milliseconds since_start() {
        return std::chrono::duration_cast<std::chrono::milliseconds>(
            std::chrono::steady_clock::now().time_since_epoch());
    }

    model_store store_;
    bool has_stalled_ = false;
};

struct expectation {
    flaw broken;
    std::vector<std::string_view> caught_by;
};

std::vector<expectation> const expectations = {
    {flaw::first_attempt_is_two, {"a claim of a new key is granted as attempt 1"}},
    {flaw::remaining_lease_is_negative, {"a record in flight under another fencing token answers in_flight"}},
    {flaw::retry_is_a_rival, {"a claim with the fencing token that holds the record is granted again"}},
    {flaw::state_before_fingerprint, {"the fingerprint is looked at before the state"}},
    {flaw::cuts_at_nul, {"a completed record answers the bytes that Complete was given"}},
    {flaw::unfenced_complete,
     {"Complete does nothing unless the record is in flight under that fencing token",
      "a fencing token that lost its record to a takeover changes nothing",
      "of concurrent Completes exactly one is stored", "a random concurrent history is linearizable"}},
    {flaw::overwrites, {"Complete with the fencing token that completed the record is done again"}},
    {flaw::complete_needs_a_record,
     {"Complete of an absent record stores it", "an expired record is as good as absent to Complete"}},
    {flaw::complete_needs_a_live_lease, {"Complete needs no live lease, only that nobody took over"}},
    {flaw::unfenced_abandon,
     {"Abandon does nothing unless the record is in flight under that fencing token",
      "a fencing token that lost its record to a takeover changes nothing",
      "a random concurrent history is linearizable"}},
    {flaw::abandon_comes_late,
     {"operations of a key run in the order of their submission", "a random concurrent history is linearizable"}},
    {flaw::abandon_forgets_attempt, {"an abandoned takeover leaves the number of its attempt behind"}},
    {flaw::short_keys, {"a record is seen under its own key only"}},
    {flaw::copies_are_apart, {"copies of a store share the records"}},
    {flaw::waits_for_the_holder, {"no operation waits for the end of a lease"}},
    {flaw::attempt_not_counted,
     {"a takeover of an ended lease is one more attempt", "of concurrent claims exactly one takes over",
      "a random concurrent history is linearizable"}},
    {flaw::takeover_by_anyone, {"a takeover needs the same fingerprint"}},
    {flaw::always_takes_over, {"a claim that must not take over reports the ended lease and writes nothing"}},
    {flaw::retry_counts_as_takeover, {"a retried claim whose lease has ended is no takeover"}},
    {flaw::takes_over_completed, {"a completed record is not taken over"}},
    {flaw::life_without_lease, {"a record in flight expires at its lease deadline plus the retention"}},
    {flaw::complete_keeps_the_expiry, {"Complete restarts the retention"}},
    {flaw::renew_keeps_the_expiry, {"Renew extends the lease and the life of the record"}},
    {flaw::renew_needs_a_live_lease, {"Renew does not mind that the lease had ended"}},
    {flaw::unfenced_renew,
     {"Renew is false unless the record is in flight under that fencing token",
      "a random concurrent history is linearizable"}},
    {flaw::no_lease_overflows, {"no_lease does not end"}},
    {flaw::peeks_at_the_expired, {"peek tells of a record in flight", "peek tells of a completed record"}},
    {flaw::forgets_only_completed, {"forget removes the record whatever its state"}},
    {flaw::evicts, {"a full store evicts no unexpired record"}},
    {flaw::refusal_writes, {"a full store refuses with store_full and writes nothing"}},
    {flaw::no_room_to_complete, {"a full store does not refuse to complete with a small record"}},
    {flaw::expired_take_room, {"expired records make room"}},
    {flaw::not_atomic,
     {"of concurrent claims exactly one is granted", "of concurrent claims exactly one takes over",
      "of concurrent Completes exactly one is stored", "a random concurrent history is linearizable"}},
    {flaw::steps_are_not_told, {"steps are told to each later claim"}},
    {flaw::unfenced_step, {"save_step does nothing unless the record is in flight under that fencing token"}},
    {flaw::step_needs_a_live_lease, {"save_step does nothing unless the record is in flight under that fencing token"}},
    {flaw::appends_again, {"save_step at an offset that is passed has been executed before"}},
    {flaw::abandon_forgets_steps, {"Abandon leaves steps, and without an earlier attempt they are free"}},
    {flaw::steps_need_takeover, {"Abandon leaves steps, and without an earlier attempt they are free"}},
    {flaw::steps_stay, {"steps go with their record"}},
    {flaw::parked_is_taken_over, {"a parked record is granted only to a claim that asks for it"}},
    {flaw::unfenced_park, {"park does nothing unless the record is in flight under that fencing token"}},
    {flaw::park_needs_a_record, {"park of an absent record stores it"}},
    {flaw::parker_holds_on, {"no fencing token holds a parked record"}},
    {flaw::asking_unparks, {"a parked record is parked again when the claim of who asked ends"}},
    {flaw::park_forgets_steps, {"a parked record keeps its steps"}},
    {flaw::park_keeps_the_expiry, {"park restarts the retention"}},
    {flaw::settle_frees_only, {"settle with a response completes the record"}},
    {flaw::settle_ignores_the_attempt, {"settle changes nothing at another attempt or while a lease lasts"}},
    {flaw::settle_ignores_the_lease, {"settle changes nothing at another attempt or while a lease lasts"}},
    {flaw::settle_counts_the_attempt,
     {"settle without a response frees the record", "settle without a response leaves no record without steps"}},
    {flaw::settle_leaves_a_record, {"settle without a response leaves no record without steps"}},
    {flaw::peek_hides_parking, {"peek tells of a parked record"}},
    {flaw::list_ends_early, {"list tells each record on some page"}},
    {flaw::list_ignores_the_state, {"list tells only records in the state that is asked for"}},
    {flaw::list_ignores_the_digits, {"list tells only keys that begin with the digits that are asked for"}},
    {flaw::lists_the_expired, {"list tells no expired record"}},
    {flaw::list_takes_any_cursor, {"list refuses a cursor that the store has not made"}},
    {flaw::forgets_used_keys, {"an expired record is remembered as long as it asked, by claims that ask"}},
    {flaw::marks_hide_records, {"an expired record is remembered as long as it asked, by claims that ask"}},
    {flaw::marks_do_not_end, {"a mark ends"}},
    {flaw::released_keys_are_marked, {"released and forgotten keys leave no mark"}},
    {flaw::forgotten_keys_are_marked, {"released and forgotten keys leave no mark"}},
    {flaw::marks_unasked, {"a mark is made and looked for on request only"}},
    {flaw::marks_stop_complete, {"Complete takes no notice of marks"}},
    {flaw::renew_keeps_the_mark, {"Renew moves the end of the mark, too"}},
    {flaw::peek_hides_marks, {"peek tells of a mark where there is no record"}},
    {flaw::peek_prefers_marks, {"peek tells of a mark where there is no record"}},
    {flaw::parked_keys_are_not_marked, {"parked and settled records are remembered"}},
    {flaw::freed_keys_are_marked, {"settle without a response leaves no mark"}},
};

std::vector<std::string> violations_of(std::string_view sentence, flaw broken) {
    auto const lines = idempo::testing::contract_lines<model_fixture>();
    auto const line = std::ranges::find(lines, sentence, [](auto const& each) { return each.sentence; });
    REQUIRE(line != lines.end());
    model_fixture fixture(broken);
    return idempo::testing::violations(*line, fixture, 1);
}

}  // namespace

TEST_CASE("store_contract: a store without a flaw keeps it") {
    model_fixture fixture(flaw::none);
    idempo::testing::store_contract(fixture);
}

TEST_CASE("store_contract: every flaw is caught by the line that forbids it") {
    for (auto const& [broken, caught_by] : expectations) {
        for (auto const& sentence : caught_by) {
            INFO("flaw " << static_cast<int>(broken) << ", line: " << sentence);
            CHECK_FALSE(violations_of(sentence, broken).empty());
        }
    }
}

TEST_CASE("store_contract: every line catches a flaw") {
    for (auto const& line : idempo::testing::contract_lines<model_fixture>()) {
        INFO("line: " << line.sentence);
        CHECK(std::ranges::any_of(expectations, [&](expectation const& each) {
            return std::ranges::find(each.caught_by, line.sentence) != each.caught_by.end();
        }));
    }
}

TEST_CASE("store_contract: a check that a stall made inconclusive runs again") {
    auto const lines = idempo::testing::contract_lines<stalling_fixture>();
    auto const line = std::ranges::find(lines, "a record in flight expires at its lease deadline plus the retention",
                                        [](auto const& each) { return each.sentence; });
    REQUIRE(line != lines.end());

    stalling_fixture right(flaw::none);
    CHECK(idempo::testing::violations(*line, right, 1).empty());
    CHECK(right.has_stalled());

    stalling_fixture wrong(flaw::life_without_lease);
    CHECK_FALSE(idempo::testing::violations(*line, wrong, 1).empty());
    CHECK(wrong.has_stalled());

    stalling_fixture without_repetition(flaw::none);
    auto once = *line;
    once.has_deadlines = false;
    CHECK_FALSE(idempo::testing::violations(once, without_repetition, 1).empty());
}
