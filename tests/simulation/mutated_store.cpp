// SPDX-License-Identifier: MIT
#include "simulation/mutated_store.hpp"

#include <idempo/record/stored_response.hpp>

#include <utility>
#include <variant>

namespace idempo::simulation {

using namespace std::chrono_literals;

mutated_store::mutated_store(mutant which, std::function<time_point()> clock)
    : which_(which),
      clock_(clock),
      store_([&] {
          memory_store_options options;
          options.clock = std::move(clock);
          options.shards = 1;
          return options;
      }()) {}

store_answer mutated_store::apply(store_call const& call, time_point claimers_clock) {
    if (which_ == mutant::none) return apply_to(store_, call);
    if (auto const* claim_call = std::get_if<claim_request>(&call)) return claim(*claim_call, claimers_clock);
    if (auto const* complete_call = std::get_if<complete_request>(&call)) return complete(*complete_call);
    if (auto const* abandon_call = std::get_if<abandon_request>(&call)) return abandon(*abandon_call);
    if (auto const* renew_call = std::get_if<renew_request>(&call)) return renew(*renew_call, claimers_clock);
    if (auto const* step_call = std::get_if<step_request>(&call)) return step(*step_call);
    return apply_to(store_, call);
}

std::optional<record_info> mutated_store::peek(store_key const& key) {
    error_code error;
    return store_.peek(key, error);
}

void mutated_store::forget(store_key const& key) {
    error_code error;
    store_.forget(key, error);
}

void mutated_store::end_lease(known const& of, store_key const& key) {
    error_code error;
    static_cast<void>(store_.renew(key, of.holder, 0ms, error));
}

void mutated_store::learn(claim_request const& claim, store_answer const& answer, time_point claimers_clock) {
    auto const* result = std::get_if<claim_result>(&answer.result);
    auto const* grant = result == nullptr ? nullptr : std::get_if<granted>(result);
    if (grant == nullptr) return;
    auto& of = known_[claim.key];
    of.holder = claim.fencing_token;
    of.fingerprint = claim.fingerprint;
    of.lease_end = clock_() + claim.lease;
    of.lease_end_of_client = claimers_clock + claim.lease;
    of.retention = claim.retention;
    of.remember = claim.remember;
    of.attempt = grant->attempt;
}

store_answer mutated_store::claim(claim_request claim, time_point claimers_clock) {
    auto& of = known_[claim.key];
    auto const found = peek(claim.key);
    bool const is_open = found && found->state == record_state::in_flight;
    bool const is_rival = is_open && of.holder != claim.fencing_token && of.holder != fencing_token{};
    bool const is_over = is_open && found->lease_remaining <= 0ms;
    switch (which_) {
    case mutant::takeover_without_lease_check:
        if (is_rival) end_lease(of, claim.key);
        break;
    case mutant::clock_of_the_client:
        if (is_rival && claimers_clock >= of.lease_end_of_client) end_lease(of, claim.key);
        break;
    case mutant::takeover_by_other_request:
        if (is_over) claim.fingerprint = of.fingerprint;
        break;
    case mutant::replay_to_other_request:
        if (found && found->state == record_state::completed) claim.fingerprint = of.fingerprint;
        break;
    case mutant::record_ends_with_lease:
        if (is_over) forget(claim.key);
        break;
    case mutant::parked_runs_again:
        if (found && found->state == record_state::parked) claim.take_parked = claim.take_over = true;
        break;
    case mutant::marks_are_ignored: claim.remember = 0ms; break;
    case mutant::hold_takes_over: claim.take_over = true; break;
    case mutant::own_claim_is_refused:
        if (is_open && !is_over && of.holder == claim.fencing_token) {
            store_answer answer;
            answer.result = claim_result(in_flight{found->lease_remaining});
            return answer;
        }
        break;
    case mutant::claim_in_two_steps:
        // The second claim looks while the first has looked and not yet written.
        if (is_rival && clock_() < of.written_at && of.unwritten && of.attempt == 1) {
            store_answer answer;
            answer.result = claim_result(granted{1});
            return answer;
        }
        break;
    default: break;
    }
    auto answer = apply_to(store_, claim);
    learn(claim, answer, claimers_clock);
    auto* const result = std::get_if<claim_result>(&answer.result);
    auto* const grant = result == nullptr ? nullptr : std::get_if<granted>(result);
    if (grant == nullptr) return answer;
    if (which_ == mutant::claim_in_two_steps && grant->attempt == 1) {
        of.unwritten = claim;
        of.written_at = clock_() + 2ms;
    }
    if (which_ == mutant::takeover_is_not_counted) grant->attempt = 1;
    if (which_ == mutant::steps_are_forgotten) grant->steps = {};
    return answer;
}

store_answer mutated_store::complete(complete_request complete) {
    auto const& of = known_[complete.key];
    auto const found = peek(complete.key);
    bool const is_open = found && found->state == record_state::in_flight;
    if (which_ == mutant::complete_without_fence && is_open) complete.fencing_token = of.holder;
    if (which_ == mutant::complete_replaces && found && found->state == record_state::completed) forget(complete.key);
    if (which_ == mutant::complete_needs_live_lease && is_open && found->lease_remaining <= 0ms) {
        store_answer answer;
        answer.result = complete_result(in_flight{});
        return answer;
    }
    if (which_ == mutant::complete_needs_record && !found) {
        store_answer answer;
        answer.result = complete_result(in_flight{});
        return answer;
    }
    auto const answer = apply_to(store_, complete);
    if (which_ == mutant::tombstone_is_released && complete.record.view() == make_tombstone(200).view())
        forget(complete.key);
    return answer;
}

store_answer mutated_store::abandon(abandon_request abandon) {
    auto const& of = known_[abandon.key];
    auto const found = peek(abandon.key);
    bool const is_open = found && found->state == record_state::in_flight;
    if (which_ == mutant::abandon_without_fence && is_open) abandon.fencing_token = of.holder;
    if (which_ == mutant::abandon_forgets_attempt && is_open && of.holder == abandon.fencing_token) forget(abandon.key);
    return apply_to(store_, abandon);
}

store_answer mutated_store::renew(renew_request renew, time_point claimers_clock) {
    auto& of = known_[renew.key];
    if (of.holder == renew.fencing_token) of.lease_end_of_client = claimers_clock + renew.lease;
    if (which_ == mutant::renew_without_fence) renew.fencing_token = of.holder;
    if (which_ == mutant::renew_does_nothing) {
        auto const found = peek(renew.key);
        store_answer answer;
        answer.result = found && found->state == record_state::in_flight && of.holder == renew.fencing_token;
        return answer;
    }
    return apply_to(store_, renew);
}

store_answer mutated_store::step(step_request step) {
    if (which_ == mutant::step_without_fence) step.fencing_token = known_[step.key].holder;
    return apply_to(store_, step);
}

}  // namespace idempo::simulation
