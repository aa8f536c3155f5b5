// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/store.hpp>
#include <idempo/testing/claim_checks.hpp>
#include <idempo/testing/expiry_checks.hpp>
#include <idempo/testing/full_store_checks.hpp>
#include <idempo/testing/history_check.hpp>
#include <idempo/testing/lease_checks.hpp>
#include <idempo/testing/listing_checks.hpp>
#include <idempo/testing/operator_checks.hpp>
#include <idempo/testing/race_checks.hpp>
#include <idempo/testing/recovery_checks.hpp>
#include <idempo/testing/scene.hpp>
#include <idempo/testing/store_fixture.hpp>

#include <cstdint>
#include <exception>
#include <iterator>
#include <string>
#include <vector>

/// \file
/// The contract as a list, for users without Catch2 and for proofs that each line can fail.

namespace idempo::testing {

/// A sentence of the contract and its check.
template <store_fixture F>
struct contract_line {
    std::string sentence;
    void (*check)(scene<F>&);
    /// Whether the check expects something before a time of a few units has passed.
    bool has_deadlines = false;
};

/// The violations that `line` finds in the fixture's store; empty if none. An error that the store reports is one.
///
/// A check with deadlines proves nothing when the operations themselves take longer than a time unit, as on a machine
/// whose disk stalls: it then runs again, five times at most.
/// \param seed of the random choices; a violation that depends on them names the seed.
template <store_fixture F>
[[nodiscard]] std::vector<std::string> violations(contract_line<F> const& line, F& fixture, std::uint64_t seed) {
    for (int run = 1;; ++run) {
        scene<F> scene(fixture, seed);
        try {
            line.check(scene);
        } catch (std::exception const& failure) {
            scene.expect(false, std::string("an operation failed: ") + failure.what());
        }
        bool const is_conclusive = !line.has_deadlines || !scene.was_slow() || run == 5;
        auto found = scene.take_violations();
        if (found.empty() || is_conclusive) return found;
    }
}

/// The same lines, marked as having deadlines.
template <store_fixture F>
[[nodiscard]] std::vector<contract_line<F>> with_deadlines(std::vector<contract_line<F>> lines) {
    for (auto& line : lines) line.has_deadlines = true;
    return lines;
}

template <store_fixture F>
void add_basic_lines(std::vector<contract_line<F>>& lines) {
    lines.insert(lines.end(),
                 {{"a claim of a new key is granted as attempt 1", claim_of_a_new_key<F>},
                  {"a record in flight under another fencing token answers in_flight", claim_in_flight<F>},
                  {"a claim with the fencing token that holds the record is granted again", claim_retried<F>},
                  {"the fingerprint is looked at before the state", claim_with_another_fingerprint<F>},
                  {"a completed record answers the bytes that Complete was given", claim_of_a_completed_record<F>},
                  {"Complete does nothing unless the record is in flight under that fencing token",
                   complete_by_another_token<F>},
                  {"Complete with the fencing token that completed the record is done again", complete_retried<F>},
                  {"Complete of an absent record stores it", complete_of_an_absent_record<F>},
                  {"Abandon does nothing unless the record is in flight under that fencing token",
                   abandon_by_the_holder_only<F>},
                  {"a record is seen under its own key only", keys_are_apart<F>},
                  {"copies of a store share the records", copies_share_the_records<F>},
                  {"operations of a key run in the order of their submission", operations_run_in_order<F>},
                  {"no operation waits for the end of a lease", operations_do_not_wait_for_the_holder<F>, true}});
}

template <store_fixture F>
[[nodiscard]] std::vector<contract_line<F>> lease_lines() {
    return with_deadlines<F>(
        {{"a takeover of an ended lease is one more attempt", takeover_of_an_ended_lease<F>},
         {"a takeover needs the same fingerprint", takeover_needs_the_same_fingerprint<F>},
         {"a claim that must not take over reports the ended lease and writes nothing", claim_without_takeover<F>},
         {"a retried claim whose lease has ended is no takeover", claim_retried_after_the_lease<F>},
         {"Complete needs no live lease, only that nobody took over", complete_needs_no_live_lease<F>},
         {"a fencing token that lost its record to a takeover changes nothing", a_lost_token_does_nothing<F>},
         {"an abandoned takeover leaves the number of its attempt behind", an_abandoned_takeover_leaves_its_number<F>},
         {"a completed record is not taken over", a_completed_record_has_no_lease<F>},
         {"a record in flight expires at its lease deadline plus the retention", a_record_in_flight_expires<F>},
         {"Complete restarts the retention", complete_restarts_the_retention<F>},
         {"an expired record is as good as absent to Complete", complete_of_an_expired_record<F>}});
}

template <store_fixture F>
[[nodiscard]] std::vector<contract_line<F>> renew_lines() {
    return with_deadlines<F>(
        {{"Renew extends the lease and the life of the record", renew_extends_lease_and_life<F>},
         {"Renew does not mind that the lease had ended", renew_of_an_ended_lease<F>},
         {"Renew is false unless the record is in flight under that fencing token", renew_by_another_token<F>}});
}

template <store_fixture F>
[[nodiscard]] std::vector<contract_line<F>> operator_lines() {
    return with_deadlines<F>({{"peek tells of a record in flight", peek_in_flight<F>},
                              {"peek tells of a completed record", peek_completed<F>},
                              {"forget removes the record whatever its state", forget_whatever_the_state<F>}});
}

template <store_fixture F>
[[nodiscard]] std::vector<contract_line<F>> listing_lines() {
    return {{"list tells each record on some page", list_tells_each_record<F>, true},
            {"list tells only records in the state that is asked for", list_tells_the_state<F>},
            {"list tells only keys that begin with the digits that are asked for", list_tells_the_digits<F>},
            {"list tells no expired record", list_hides_the_expired<F>},
            {"list refuses a cursor that the store has not made", list_refuses_a_wrong_cursor<F>}};
}

template <store_fixture F>
void add(std::vector<contract_line<F>>& lines, std::vector<contract_line<F>> more) {
    lines.insert(lines.end(), std::move_iterator(more.begin()), std::move_iterator(more.end()));
}

template <store_fixture F>
void add_optional_lines(std::vector<contract_line<F>>& lines) {
    if constexpr (renewable_store<fixture_store<F>>) add(lines, renew_lines<F>());
    if constexpr (nonblocking_store<fixture_store<F>>) {
        lines.push_back({"no_lease does not end", no_lease_does_not_end<F>});
    }
    if constexpr (inspectable_store<fixture_store<F>>) add(lines, operator_lines<F>());
    if constexpr (listing_store<fixture_store<F>>) add(lines, listing_lines<F>());
    if constexpr (bounded_store_fixture<F>) {
        lines.push_back({"a full store refuses with store_full and writes nothing", a_full_store_refuses<F>});
        lines.push_back({"a full store evicts no unexpired record", a_full_store_evicts_nothing<F>});
        lines.push_back({"a full store does not refuse to complete with a small record", a_full_store_completes<F>});
        lines.push_back({"expired records make room", expired_records_make_room<F>, true});
    }
}

template <store_fixture F>
[[nodiscard]] std::vector<contract_line<F>> step_lines() {
    return with_deadlines<F>(
        {{"steps are told to each later claim", steps_are_told_to_later_attempts<F>},
         {"save_step does nothing unless the record is in flight under that fencing token",
          steps_by_the_holder_only<F>},
         {"save_step at an offset that is passed has been executed before", steps_retried<F>},
         {"Abandon leaves steps, and without an earlier attempt they are free", abandon_leaves_steps<F>},
         {"steps go with their record", steps_go_with_their_record<F>}});
}

template <store_fixture F>
[[nodiscard]] std::vector<contract_line<F>> parking_lines() {
    auto lines = with_deadlines<F>(
        {{"a parked record is granted only to a claim that asks for it", parked_is_granted_on_request<F>},
         {"park does nothing unless the record is in flight under that fencing token", park_by_the_holder_only<F>},
         {"park of an absent record stores it", park_of_an_absent_record<F>},
         {"no fencing token holds a parked record", nobody_holds_a_parked_record<F>},
         {"a parked record is parked again when the claim of who asked ends", parked_again<F>},
         {"park restarts the retention", park_restarts_the_retention<F>},
         {"settle with a response completes the record", settle_with_a_response<F>},
         {"settle changes nothing at another attempt or while a lease lasts", settle_is_fenced<F>},
         {"settle without a response frees the record", settle_without_a_response<F>},
         {"settle without a response leaves no record without steps", settle_leaves_no_record<F>}});
    if constexpr (checkpointing_store<fixture_store<F>>) {
        lines.push_back({"a parked record keeps its steps", parked_records_keep_steps<F>, true});
    }
    if constexpr (inspectable_store<fixture_store<F>>) {
        lines.push_back({"peek tells of a parked record", peek_parked<F>, true});
    }
    return lines;
}

template <store_fixture F>
[[nodiscard]] std::vector<contract_line<F>> expiry_lines() {
    auto lines = with_deadlines<F>(
        {{"an expired record is remembered as long as it asked, by claims that ask", expired_records_are_remembered<F>},
         {"a mark ends", marks_end<F>},
         {"released and forgotten keys leave no mark", released_keys_leave_no_mark<F>},
         {"a mark is made and looked for on request only", marks_are_made_on_request<F>},
         {"Complete takes no notice of marks", complete_takes_no_notice_of_marks<F>}});
    if constexpr (renewable_store<fixture_store<F>>) {
        lines.push_back({"Renew moves the end of the mark, too", renew_moves_the_mark<F>, true});
    }
    if constexpr (inspectable_store<fixture_store<F>>) {
        lines.push_back({"peek tells of a mark where there is no record", peek_remembered<F>, true});
    }
    if constexpr (parking_store<fixture_store<F>>) {
        lines.push_back({"parked and settled records are remembered", parked_records_are_remembered<F>, true});
        lines.push_back({"settle without a response leaves no mark", freed_records_leave_no_mark<F>, true});
    }
    return lines;
}

template <store_fixture F>
void add_concurrent_lines(std::vector<contract_line<F>>& lines) {
    lines.insert(lines.end(),
                 {{"of concurrent claims exactly one is granted", one_of_concurrent_claims_is_granted<F>},
                  {"of concurrent claims exactly one takes over", one_of_concurrent_claims_takes_over<F>},
                  {"of concurrent Completes exactly one is stored", one_of_concurrent_completes_is_stored<F>},
                  {"a random concurrent history is linearizable", a_random_history_is_linearizable<F>}});
}

/// Every line that applies to the fixture's store: those of Renew, steps, parking, marks of used keys, peek, forget,
/// list and a full store if it has them.
template <store_fixture F>
[[nodiscard]] std::vector<contract_line<F>> contract_lines() {
    std::vector<contract_line<F>> lines;
    add_basic_lines(lines);
    add(lines, lease_lines<F>());
    add_optional_lines(lines);
    if constexpr (checkpointing_store<fixture_store<F>>) add(lines, step_lines<F>());
    if constexpr (parking_store<fixture_store<F>>) add(lines, parking_lines<F>());
    if constexpr (remembering_store<fixture_store<F>>) add(lines, expiry_lines<F>());
    add_concurrent_lines(lines);
    return lines;
}

}  // namespace idempo::testing
