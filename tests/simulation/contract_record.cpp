// SPDX-License-Identifier: MIT
#include "simulation/contract_record.hpp"

#include <idempo/detail/deadline.hpp>

#include <algorithm>
#include <utility>
#include <variant>

namespace idempo::simulation {

namespace {

constexpr std::string_view stored_stays = "a stored answer stays";
constexpr std::string_view lease_holds = "a lease holds";
constexpr std::string_view holder_acts = "who holds the claim can use it";
constexpr std::string_view fenced = "who lost the claim changes nothing";
constexpr std::string_view same_request = "a key belongs to one request";
constexpr std::string_view told = "an execution is told of earlier attempts";
constexpr std::string_view parked_stays = "a parked record does not run";
constexpr std::string_view remembers = "a used key is remembered";

/// Also where the span has passed: what a statement writes may come that late.
time_point after(time_point start, std::chrono::milliseconds span) {
    return span < std::chrono::milliseconds::zero() ? start + span : detail::later(start, span);
}

/// Whether the answer can only come of a record that is there.
bool shows_record(store_answer const& answer) {
    if (auto const* const claim = std::get_if<claim_result>(&answer.result)) {
        auto const* const grant = std::get_if<granted>(claim);
        return grant == nullptr ? !std::holds_alternative<remembered>(*claim) : grant->attempt > 1;
    }
    if (auto const* const complete = std::get_if<complete_result>(&answer.result))
        return !std::holds_alternative<done>(*complete);
    auto const* const is = std::get_if<bool>(&answer.result);
    return is != nullptr && *is;
}

}  // namespace

std::string_view contract_record::follow(store_call const& call, store_answer const& answer, time_point now) {
    let_time_pass(now);
    // Decided while the lease lasted, and committed after somebody else has seen that it had ended.
    if (state_ == state::parked && lease_end_ > now) state_ = state::in_flight;
    taken_over_ = false;
    if (answer.error) return {};
    if (may_have_ended(now) && !shows_record(answer)) end_at_expiry();
    if (auto const* claim = std::get_if<claim_request>(&call)) {
        return claimed(*claim, std::get<claim_result>(answer.result), now);
    }
    if (auto const* complete = std::get_if<complete_request>(&call)) {
        return completed_by(*complete, std::get<complete_result>(answer.result), now);
    }
    if (auto const* abandon = std::get_if<abandon_request>(&call)) {
        abandoned_by(abandon->fencing_token, now);
    } else if (auto const* renew = std::get_if<renew_request>(&call)) {
        bool const is_held = std::get<bool>(answer.result);
        if (is_held && !is_held_by(renew->fencing_token)) return fenced;
        if (!is_held) return is_held_by(renew->fencing_token) ? holder_acts : std::string_view();
        lease_end_ = detail::later(now, renew->lease);
        expiry_ = detail::later(lease_end_, retention_);
    } else if (auto const* step = std::get_if<step_request>(&call)) {
        bool const is_kept = std::get<bool>(answer.result);
        if (is_kept && !is_held_by(step->fencing_token)) return fenced;
        has_steps_ = has_steps_ || is_kept;
    } else if (auto const* park = std::get_if<park_request>(&call)) {
        return parked_by(*park, std::get<bool>(answer.result), now);
    } else if (auto const* settle = std::get_if<settle_request>(&call)) {
        return settled(*settle, std::get<bool>(answer.result), now);
    }
    return {};
}

void contract_record::let_time_pass(time_point now) {
    if (state_ == state::absent) return;
    if (detail::later(expiry_, manners_.expiry_delay) <= now) return end_at_expiry();
    if (state_ == state::in_flight && was_parked_ && lease_end_ <= now) state_ = state::parked;
}

void contract_record::end_at_expiry() {
    remembered_until_ = detail::later(expiry_, remember_);
    expired_attempt_ = attempt_;
    end();
}

void contract_record::end() {
    state_ = state::absent;
    token_ = {};
    attempt_ = 0;
    has_steps_ = false;
    was_parked_ = false;
    ++lives_;
}

void contract_record::lease_from(claim_request const& claim, time_point now) {
    lease_end_ = after(now, claim.lease);
    retention_ = claim.retention;
    remember_ = claim.remember;
    expiry_ = detail::later(lease_end_, retention_);
}

std::string_view contract_record::claimed(claim_request const& claim, claim_result const& result, time_point now) {
    if (auto const* grant = std::get_if<granted>(&result)) return granted_to(claim, *grant, now);
    if (auto const* replay = std::get_if<completed>(&result)) {
        if (state_ == state::completed && fingerprint_ != claim.fingerprint) return same_request;
        return state_ == state::completed && replay->record.view() == record_ ? std::string_view() : stored_stays;
    }
    return is_held_by(claim.fencing_token) ? holder_acts : std::string_view();
}

std::string_view contract_record::granted_to(claim_request const& claim, granted const& grant, time_point now) {
    if (state_ == state::completed) return stored_stays;
    if (is_held_by(claim.fencing_token)) {
        if (manners_.restarts_lease) lease_from(claim, now);
        return grant.attempt == attempt_ ? std::string_view() : told;
    }
    if (state_ != state::absent) return taken_over(claim, grant, now);
    if (claim.remember > std::chrono::milliseconds::zero() && remembered_until_ > now) return remembers;
    // Decided before the record ended, and committed when another has not found it any more.
    bool const is_late = now < expiry_ && grant.attempt == expired_attempt_ + 1;
    if (grant.attempt != 1 && !is_late) return told;
    state_ = state::in_flight;
    token_ = claim.fencing_token;
    fingerprint_ = claim.fingerprint;
    attempt_ = grant.attempt;
    lease_from(claim, now);
    return {};
}

std::string_view contract_record::taken_over(claim_request const& claim, granted const& grant, time_point now) {
    if (fingerprint_ != claim.fingerprint) return same_request;
    if (state_ == state::parked && !claim.take_parked) return parked_stays;
    if (state_ == state::in_flight && lease_end_ > now) return lease_holds;
    if (!claim.take_over && attempt_ > 0) return lease_holds;
    if (grant.attempt != attempt_ + 1) return told;
    was_parked_ = was_parked_ || state_ == state::parked;
    state_ = state::in_flight;
    taken_over_ = attempt_ > 0;
    predecessor_ = std::exchange(token_, claim.fencing_token);
    attempt_ = grant.attempt;
    lease_from(claim, now);
    return {};
}

std::string_view contract_record::completed_by(complete_request const& complete, complete_result const& result,
                                               time_point now) {
    if (auto const* stored = std::get_if<completed>(&result)) {
        return state_ == state::completed && stored->record.view() == record_ ? std::string_view() : stored_stays;
    }
    bool const is_free = state_ == state::absent || is_held_by(complete.fencing_token);
    if (!std::holds_alternative<done>(result)) return is_free ? holder_acts : std::string_view();
    if (state_ == state::completed && token_ != complete.fencing_token) return stored_stays;
    if (state_ == state::completed) return {};
    if (!is_free) return fenced;
    state_ = state::completed;
    token_ = complete.fencing_token;
    fingerprint_ = complete.fingerprint;
    record_ = complete.record.view();
    attempt_ = std::max(attempt_, 1U);
    has_steps_ = false;
    was_parked_ = false;
    remember_ = complete.remember;
    expiry_ = after(now, complete.retention);
    return {};
}

std::string_view contract_record::parked_by(park_request const& park, bool is_parked, time_point now) {
    if (!is_parked) return {};
    if (state_ == state::parked && token_ == park.fencing_token) {
        if (manners_.restarts_retention_of_parked) expiry_ = after(now, park.retention);
        return {};
    }
    if (state_ != state::absent && !is_held_by(park.fencing_token)) return fenced;
    if (state_ == state::absent) fingerprint_ = park.fingerprint;
    state_ = state::parked;
    lease_end_ = now;
    token_ = park.fencing_token;
    attempt_ = std::max(attempt_, 1U);
    was_parked_ = true;
    remember_ = park.remember;
    retention_ = park.retention;
    expiry_ = after(now, park.retention);
    return {};
}

std::string_view contract_record::settled(settle_request const& settle, bool is_settled, time_point now) {
    if (!is_settled) return {};
    bool const is_over = state_ == state::in_flight && lease_end_ <= now;
    if (state_ != state::parked && !is_over) return stored_stays;
    if (settle.attempt != attempt_) return fenced;
    if (!settle.record) {
        freed(settle, now);
        return {};
    }
    state_ = state::completed;
    token_ = {};
    record_ = settle.record->view();
    was_parked_ = false;
    expiry_ = detail::later(now, settle.retention);
    return {};
}

/// The key is new, and what had been remembered of it is forgotten, except for the steps that are kept.
void contract_record::freed(settle_request const& settle, time_point now) {
    bool const keeps_steps = has_steps_;
    end();
    if (keeps_steps) {
        state_ = state::in_flight;
        has_steps_ = true;
        lease_end_ = now;
        retention_ = settle.retention;
        expiry_ = detail::later(now, settle.retention);
    } else {
        remembered_until_ = {};
    }
}

void contract_record::abandoned_by(fencing_token const& by, time_point now) {
    if (!is_held_by(by)) return;
    token_ = {};
    --attempt_;
    lease_end_ = now;
    if (manners_.abandon_moves_expiry) expiry_ = detail::later(now, retention_);
    if (was_parked_) {
        state_ = state::parked;
    } else if (attempt_ == 0 && !has_steps_) {
        state_ = state::absent;
    }
}

}  // namespace idempo::simulation
