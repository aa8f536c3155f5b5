// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/exchange/exchange.hpp>

#include <idempo/exchange/step_saving.hpp>
#include <idempo/fingerprint.hpp>
#include <idempo/key.hpp>
#include <idempo/record/record_format.hpp>

#include <algorithm>
#include <bit>
#include <utility>

namespace idempo::detail {

namespace {

using std::chrono::milliseconds;

constexpr std::chrono::seconds shortest_retry_after{1};

/// A record that expires between look and claim costs one. More happen only where servers of two releases meet.
constexpr unsigned max_claims_given_up = 3;

/// A store that is slower than the lease so often is of no use.
constexpr unsigned max_late_claims = 3;

// A refusal that is stored for a later request cannot know that request's connection; a replay sets both anew.
constexpr unsigned any_version = 11;
constexpr bool any_keep_alive = true;

}  // namespace

exchange::step exchange::admit(request_facts const& facts) {
    if (options_.keep_traceparent) trace_ = traceparent::parse(facts.traceparent);
    if (facts.key_lines == 0) return refuse(refusal::key_missing);
    if (facts.key_lines > 1) return refuse(refusal::key_malformed);
    auto key = parse_key(facts.key_field, options_.syntax);
    if (!key) return refuse(refusal::key_malformed);
    if (facts.body_size > options_.max_request_body) return refuse(refusal::body_too_large);
    if (facts.draining) {
        refusal_.retry_after = options_.retry_after;
        return refuse(refusal::shutting_down);
    }
    key_ = std::move(*key);
    if (options_.echo_key) echoed_ = facts.key_field;
    return step::identify;
}

exchange::step exchange::pass() {
    unkeyed_ = true;
    return step::open;
}

exchange::step exchange::unidentified() { return refuse(refusal::caller_unknown); }

exchange::step exchange::key_not_accepted() { return refuse(refusal::key_malformed); }

exchange::step exchange::identify_threw(std::exception_ptr exception) {
    tell(event_type::handler_threw, {}, std::move(exception));
    refuse(refusal::handler_threw);
    return respond(answer_source::exception);
}

exchange::step exchange::identified(request_identity const& identity) {
    claim_.key = identity.key;
    claim_.fingerprint = identity.compared;
    claim_.fencing_token = make_fencing_token();
    claim_.lease = lifetime_ == claim_lifetime::call ? no_lease : options_.lease;
    claim_.retention = options_.retention;
    claim_.remember = options_.remember_expired;
    reset_claim();
    asked_ = identity.asked;
    rules_ = identity.rules;
    is_identified_ = true;
    if (!identity.others.empty()) {
        identities_.push_back({identity.key, rule_});
        identities_.insert(identities_.end(), identity.others.begin(), identity.others.end());
    }
    if (identity.ignores_cookie) tell(event_type::cookie_ignored);
    return start_looking();
}

exchange::step exchange::identified_by_rule(idempo::fingerprint asked) {
    if (!guards()) claim_.fingerprint = asked;
    asked_ = asked;  // a later attempt has the derived keys of the first one
    return std::exchange(looks_again_, false) ? start_looking() : start_claim();
}

exchange::step exchange::start_looking() {
    // In a transaction the locks of the claim and of the look last to its end, so one look behind the claim will do.
    if (identities_.empty() || lifetime_ == claim_lifetime::transaction) return start_claim();
    looks_at_ = 0;
    return look_on();
}

exchange::step exchange::look_on() {
    if (looks_at_ == identity_) ++looks_at_;
    if (looks_at_ < identities_.size()) {
        begin(event_step::look);
        return step::look;
    }
    return confirming_ ? go_on_granted() : start_claim();
}

exchange::step exchange::looked(error_code error, std::optional<record_info> const& found) {
    end(event_step::look, error);
    if (error) return confirming_ ? start_abandon() : go_without_claim();
    if (found && is_decisive(*found)) return confirming_ ? give_up(looks_at_, false) : go_to(looks_at_);
    ++looks_at_;
    return look_on();
}

/// A mark decides where there is no record under any identity, so that it hides none: about a new claim.
///
/// Of two records whose servers are both gone, the one that this request has claimed goes on: else each would wait for
/// the other.
bool exchange::is_decisive(record_info const& found) const noexcept {
    if (found.state == record_state::remembered) {
        return confirming_ && is_fresh_ && claim_.remember > milliseconds::zero();
    }
    bool const is_gone = found.state == record_state::in_flight && found.lease_remaining <= milliseconds::zero();
    return !confirming_ || is_fresh_ || !is_gone;
}

exchange::step exchange::give_up(std::size_t identity, bool looks_again) {
    goes_to_ = identity;
    looks_again_ = looks_again;
    return start_abandon();
}

exchange::step exchange::gave_up() {
    auto const identity = *goes_to_;
    goes_to_.reset();
    if (++given_up_ <= max_claims_given_up) return go_to(identity);
    last_was_unknown_ = false;
    last_lease_remaining_ = milliseconds::zero();
    return wait_or(&exchange::refuse_met_in_flight);
}

/// From now on the record under that identity is this request's.
exchange::step exchange::go_to(std::size_t identity) {
    identity_ = identity;
    claim_.key = identities_[identity].key;
    begin_anew();
    rule_ = identities_[identity].rule;
    tried_ = 0;
    if (identity != 0) tell(event_type::other_identity);
    return step::identify;
}

/// The next claim is another one, and may be of another record.
void exchange::begin_anew() {
    // What comes late of an earlier claim or its Abandon must not touch this one.
    claim_.fencing_token = make_fencing_token();
    reset_claim();
    attempt_ = 0;
    steps_ = {};
    sealed_steps_ = 0;
    reason_ = {};
    if (!execution_) return;  // else an earlier claim was for `reconcile`, and has been given up
    key_ = execution_->key();
    execution_.reset();
}

void exchange::reset_claim() {
    claim_.take_over = options_.on_takeover == on_takeover::run;
    claim_.take_parked = false;
    acquiring_ = false;
}

exchange::step exchange::start_claim() {
    begin(event_step::claim);
    if (lifetime_ == claim_lifetime::leased) claimed_at_ = now_();
    return step::claim;
}

exchange::step exchange::claimed(error_code error, claim_result result) {
    end(event_step::claim, error);
    if (transaction_is_gone_) return claimed_anew(error, std::move(result));
    if (std::exchange(reclaiming_, false)) return reclaimed(error, std::move(result));
    if (error) return claim_failed(error);
    return met(std::move(result));
}

exchange::step exchange::met(claim_result result) {
    if (std::exchange(last_was_unknown_, false) && unknown_was_parked_ && !acquiring_) tell_settled(result);
    if (auto* met = std::get_if<granted>(&result)) return grant(*met);
    if (auto* met = std::get_if<idempo::completed>(&result)) return met_completed(std::move(met->record));
    if (auto* met = std::get_if<expired>(&result)) return met_expired(*met);
    if (auto* met = std::get_if<in_flight>(&result)) return met_in_flight(*met);
    if (auto* met = std::get_if<idempo::parked>(&result)) return met_parked(*met);
    if (std::holds_alternative<remembered>(result)) return refuse(refusal::key_expired, event_type::key_expired);
    return met_mismatch(std::get<mismatch>(result));
}

/// This request has waited for a parked record.
void exchange::tell_settled(claim_result const& met) {
    if (!options_.observer) return;
    if (auto const* has_response = std::get_if<idempo::completed>(&met)) {
        error_code ignored;  // whoever replays the record tells that it cannot be read
        stored_ = stored_response::decode(has_response->record, ignored);
        status_ = stored_.status();
        return tell(event_type::settled);
    }
    if (std::holds_alternative<granted>(met)) tell(event_type::settled);
}

/// For a record that is stored without the handler's rows: somebody else may have been faster.
exchange::step exchange::claimed_anew(error_code error, claim_result result) {
    if (error) return complete_failed(error);
    if (std::holds_alternative<granted>(result)) {
        begin(event_step::complete);
        return step::complete;
    }
    if (auto* met = std::get_if<idempo::completed>(&result)) return fenced_off(std::move(*met));
    if (auto* met = std::get_if<in_flight>(&result)) return fenced_off(*met);
    if (std::holds_alternative<remembered>(result)) return refuse(refusal::key_expired, event_type::key_expired);
    return fenced_off(mismatch{});
}

exchange::step exchange::overloaded() {
    end(event_step::claim, error::store_unavailable);
    return refuse_unavailable();
}

exchange::step exchange::opened(error_code error) {
    if (error) return refuse_unavailable();
    execution_.emplace();
    return call_handler();
}

/// Whether it is another request is for the rule to say that the record was made by. Where nobody knows that rule, the
/// request may be the same: then it must neither run nor be called another.
exchange::step exchange::met_mismatch(mismatch const& met) {
    if (guards()) return refuse(refusal::duplicate);
    tried_ |= std::uint64_t{1} << rule_;
    auto next = static_cast<std::size_t>(std::countr_one(tried_));
    if (met.recorded && !rules_.empty()) {
        auto const found = std::find(rules_.begin(), rules_.end(), rule_number(*met.recorded));
        if (found == rules_.end()) return refuse(refusal::not_retained);
        next = static_cast<std::size_t>(found - rules_.begin());
    }
    if (next >= rules_.size() || ((tried_ >> next) & 1U) != 0) return refuse(refusal::key_reused, event_type::mismatch);
    rule_ = next;
    return step::identify;
}

exchange::step exchange::claim_failed(error_code error) {
    // A full store says that it wrote nothing; after any other error the claim may have been, or yet be, executed.
    if (error == idempo::error::store_full) return go_without_claim();
    // Nothing is left of a transaction that failed.
    if (lifetime_ == claim_lifetime::transaction) return go_without_claim();
    return start_abandon();
}

exchange::step exchange::go_without_claim() {
    // Of a record whose outcome is unknown there is no unprotected run.
    if (acquiring_ || options_.on_store_error != on_store_error::run_unprotected) return refuse_unavailable();
    unprotected_ = true;
    return start_run();
}

exchange::step exchange::met_in_flight(in_flight const& met) {
    last_was_unknown_ = false;
    last_lease_remaining_ = met.lease_remaining;
    return wait_or(&exchange::refuse_met_in_flight);
}

exchange::step exchange::refuse_met_in_flight() { return refuse_in_flight(last_lease_remaining_); }

/// Looks again after a pause, as long as the options allow it.
exchange::step exchange::wait_or(step (exchange::*refusing)()) {
    if (options_.wait <= milliseconds::zero()) return (this->*refusing)();
    auto const now = now_();
    if (!pause_until_) pause_until_ = now + options_.wait;
    if (now >= *pause_until_) return (this->*refusing)();
    pause_ = longer_pause(pause_, now, *pause_until_);
    begin(event_step::wait);
    return step::pause;
}

exchange::step exchange::met_completed(shared_bytes record) {
    error_code error;
    if (!guards() || options_.keep_traceparent) stored_ = stored_response::decode(std::move(record), error);
    if (guards()) return refuse(refusal::duplicate);
    if (error) return refuse(refusal::record_unreadable, event_type::record_unreadable);
    status_ = stored_.status();
    if (!stored_.retained()) {
        refusal_.original_status = status_;
        return refuse(refusal::not_retained);
    }
    tell(event_type::replayed);
    return respond(answer_source::stored);
}

exchange::step exchange::met_expired(expired const& met) {
    attempt_ = met.attempt;
    unknown_was_parked_ = false;
    if (options_.on_takeover != on_takeover::reconcile) return refuse(refusal::outcome_unknown);
    if (!has_asked_) return start_acquiring();
    last_was_unknown_ = true;
    return wait_or(&exchange::refuse_unknown);
}

exchange::step exchange::met_parked(idempo::parked const& met) {
    attempt_ = met.attempt;
    reason_ = met.reason;
    unknown_was_parked_ = true;
    if (options_.reconcile && !has_asked_) return start_acquiring();
    last_was_unknown_ = true;
    return wait_or(&exchange::refuse_unknown);
}

/// The answer may be another one soon.
exchange::step exchange::refuse_unknown() {
    refusal_.retry_after = options_.retry_after;
    return refuse(refusal::outcome_unknown);
}

/// Claims the record in order to ask about it, so that nobody else asks at the same time.
exchange::step exchange::start_acquiring() {
    has_asked_ = true;
    acquiring_ = true;
    claim_.take_over = true;
    claim_.take_parked = true;
    return start_claim();
}

exchange::step exchange::start_reconcile() {
    reconciling_ = true;
    begin_execution(attempt_ - 1);
    if (beats()) return step::heartbeat;
    begin(event_step::reconcile);
    return step::reconcile;
}

exchange::step exchange::reconciled(reconciliation result) {
    end(event_step::reconcile);
    auto* const response = std::get_if<http::response<http::string_body>>(&result);
    if (response != nullptr) status_ = response->result_int();
    tell(event_type::reconciled);
    if (std::holds_alternative<hold_claim>(result)) return start_abandon();
    if (response == nullptr) return may_be_lost() ? start_reclaiming() : run_again();
    reconciling_ = false;
    tell(event_type::takeover);
    auto record = record_of(*response);
    if (record && options_.sanitize) record = sanitized(std::move(*record));
    tombstone_ = !record;
    has_reconciled_record_ = true;
    running_ = true;
    return start_complete(record ? std::move(*record) : tombstone());
}

/// What `reconcile` has found out holds only as long as nobody else has had the record.
bool exchange::may_be_lost() const { return lease_may_have_ended() || execution_->lost(); }

exchange::step exchange::start_reclaiming() {
    reclaiming_ = true;
    return start_claim();
}

/// Each takeover counts, so the same attempt was nobody else's.
exchange::step exchange::reclaimed(error_code error, claim_result result) {
    if (error) return start_abandon();
    if (auto const* still = std::get_if<granted>(&result)) {
        return still->attempt == attempt_ && !lease_may_have_ended() ? run_again() : start_abandon();
    }
    reconciling_ = false;
    return met(std::move(result));
}

exchange::step exchange::run_again() {
    reconciling_ = false;
    tell(event_type::takeover);
    begin_execution(attempt_);
    return call_handler();
}

exchange::step exchange::reconcile_threw(std::exception_ptr exception) {
    end(event_step::reconcile);
    tell(event_type::handler_threw, {}, std::move(exception));
    return start_abandon();
}

exchange::step exchange::grant(granted const& grant) {
    attempt_ = grant.attempt;
    steps_ = grant.steps;
    sealed_steps_ = grant.sealed_steps;
    if (identities_.empty()) return go_on_granted();
    confirming_ = true;
    is_fresh_ = attempt_ == 1 && steps_.empty();
    if (is_fresh_ && identity_ != 0) return give_up(0, true);
    looks_at_ = 0;
    return look_on();
}

exchange::step exchange::go_on_granted() {
    confirming_ = false;
    if (lease_may_have_ended()) {
        is_late_ = true;
        return start_abandon();
    }
    if (std::exchange(acquiring_, false) && attempt_ > 1) return start_reconcile();
    if (attempt_ > 1) tell(event_type::takeover);
    return start_run();
}

/// By this process's clock; only the store's clock can say that it has.
bool exchange::lease_may_have_ended() const {
    return lifetime_ == claim_lifetime::leased && now_() - claimed_at_ >= claim_.lease;
}

/// The late claim has been given up.
exchange::step exchange::claim_again(error_code error) {
    if (error || ++late_claims_ == max_late_claims) return go_without_claim();
    if (acquiring_) has_asked_ = false;
    begin_anew();
    return start_claim();
}

bool exchange::beats() const noexcept {
    return renewable_ && options_.heartbeat && !unprotected_ && lifetime_ == claim_lifetime::leased;
}

exchange::step exchange::start_run() {
    if (unprotected_) attempt_ = 0;
    begin_execution(attempt_);
    if (unprotected_) execution_->begin_unprotected();
    return beats() ? step::heartbeat : call_handler();
}

exchange::step exchange::beating(std::shared_ptr<std::atomic<bool> const> lost) {
    execution_->watch(std::move(lost));
    if (!reconciling_) return call_handler();
    begin(event_step::reconcile);
    return step::reconcile;
}

exchange::step exchange::call_handler() {
    running_ = true;
    begin(event_step::handler);
    return step::run;
}

void exchange::begin_execution(unsigned attempt) {
    if (!execution_) {
        execution_.emplace(std::move(key_), claim_.key, asked_);
        if (!steps_.empty() || !reason_.empty()) execution_->inherit(steps_, sealed_steps_, reason_.view());
        if (checkpoint_ != nullptr) {
            execution_->attach(*checkpoint_, keeps_steps_, parks_, {options_.max_step_result, options_.max_steps});
        }
    }
    execution_->begin(attempt);
}

exchange::step exchange::paused() {
    if (running_) {
        begin(is_parking_ ? event_step::park : event_step::complete);
        return is_parking_ ? step::park : step::complete;
    }
    end(event_step::wait);
    begin_anew();
    return start_claim();
}

exchange::step exchange::pause_cancelled() {
    end(event_step::wait);
    return last_was_unknown_ ? refuse_unknown() : refuse_met_in_flight();
}

exchange::step exchange::ran(unsigned status) {
    end(event_step::handler);
    status_ = status;
    pending_ = answer_source::handler;
    if (unprotected_) {
        tell(event_type::unprotected);
        return respond(answer_source::handler);
    }
    keep_rows(commits(status));
    if (unkeyed_) return end_unkeyed();
    if (execution_->decision() == execution::verdict::unknown) return start_park();
    if (holds(status)) {
        tell(event_type::held);
        return leave_to_lease();
    }
    bool const is_stored = stores(status);
    // Rows that are committed leave a record in any case: a retry must not make them again.
    if (!is_stored && !keeps_rows_) return start_release();
    bool const keeps_answer = is_stored && !guards() && !execution_->forgets_body();
    return keeps_answer ? step::capture : start_tombstone();
}

void exchange::keep_rows(bool keeps) noexcept {
    keeps_rows_ = keeps && lifetime_ == claim_lifetime::transaction && !transaction_is_gone_;
}

exchange::step exchange::end_unkeyed() { return keeps_rows_ ? step::commit : start_abandon(); }

exchange::step exchange::ran_unreadably(std::exception_ptr lost) {
    end(event_step::handler);
    status_ = options_.problems[refusal::handler_threw].status;
    pending_ = lost ? answer_source::exception : answer_source::handler;
    if (lost) {
        refusal_.what = refusal::handler_threw;
        tell(event_type::handler_threw, {}, std::move(lost));
    }
    if (unprotected_) {
        tell(event_type::unprotected);
        return respond(pending_);
    }
    auto const decision = execution_->decision();
    // Without a key a retry of what the client sees fail would have the effect twice.
    keep_rows(unkeyed_ ? decision == execution::verdict::keep : decision != execution::verdict::release);
    if (unkeyed_) return end_unkeyed();
    if (decision == execution::verdict::unknown) return start_park();
    // The effect may have happened, whatever the status would have been.
    return decision == execution::verdict::release ? start_release() : start_tombstone();
}

exchange::step exchange::captured(std::optional<shared_bytes> record) {
    if (record && options_.sanitize) {
        record = sanitized(std::move(*record));
        if (!record) return start_complete(tombstone());
    }
    if (record) return start_complete(std::move(*record));
    auto const kept = execution_->decision() == execution::verdict::keep;
    if (options_.unstorable == unstorable::release && !kept) return start_release();
    return start_tombstone();
}

exchange::step exchange::capture_threw(std::exception_ptr exception) {
    tell(event_type::handler_threw, {}, std::move(exception));
    return start_tombstone();
}

exchange::step exchange::start_tombstone() {
    tombstone_ = true;
    return start_complete(tombstone());
}

exchange::step exchange::threw(std::exception_ptr exception) {
    end(event_step::handler);
    return failed(std::move(exception));
}

exchange::step exchange::commit_refused(std::exception_ptr exception) {
    end_commit(error::store_unavailable);
    end(event_step::complete);
    tombstone_ = false;
    transaction_is_gone_ = true;
    return failed(std::move(exception));
}

/// A retry will be told what became of it; without a key nobody can look it up, and nobody may be told to try again.
exchange::step exchange::commit_in_doubt(std::exception_ptr exception) {
    if (!unkeyed_) return completed(error::store_unavailable, {});
    tell(event_type::handler_threw, {}, std::move(exception));
    refusal_.what = refusal::handler_threw;
    return respond(answer_source::exception);
}

exchange::step exchange::failed(std::exception_ptr exception) {
    if (execution_->is_fenced()) {  // whoever goes on will have the answer
        tell(event_type::fenced, {}, std::move(exception));
        return refuse_in_flight(milliseconds::zero());
    }
    tell(event_type::handler_threw, {}, std::move(exception));
    pending_ = answer_source::exception;
    refusal_.what = refusal::handler_threw;
    status_ = options_.problems[refusal::handler_threw].status;
    if (unprotected_) {
        tell(event_type::unprotected);
        return respond(answer_source::exception);
    }
    keep_rows(execution_->decision() == execution::verdict::keep);
    if (unkeyed_) return end_unkeyed();
    auto policy = options_.on_throw;
    if (execution_->has_unsaved_step()) policy = on_throw::hold;
    if (execution_->decision() == execution::verdict::unknown) return start_park();
    if (execution_->decision() == execution::verdict::keep) policy = on_throw::store_500;
    if (execution_->decision() == execution::verdict::release) policy = on_throw::release;
    if (policy == on_throw::release) return start_release();
    if (policy == on_throw::hold) {
        tell(event_type::held);
        return leave_to_lease();
    }
    return captured(
        record_of(make_refusal(options_.problems, options_.write_problem, refusal_, any_version, any_keep_alive)));
}

exchange::step exchange::undone(std::exception_ptr exception) {
    end(event_step::handler);
    tell(event_type::handler_threw, {}, std::move(exception));
    pending_ = answer_source::refusal;
    return start_abandon();
}

exchange::step exchange::start_complete(shared_bytes record) {
    record_ = std::move(record);
    if (transaction_is_gone_) return start_claim();
    begin(event_step::complete);
    return step::complete;
}

exchange::step exchange::start_park() {
    is_parking_ = true;
    begin(event_step::park);
    return step::park;
}

park_request exchange::park() const {
    return {claim_.key,
            claim_.fingerprint,
            claim_.fencing_token,
            shared_bytes(execution_->reason()),
            execution_->retention().value_or(claim_.retention),
            claim_.remember};
}

exchange::step exchange::parked(error_code error, bool is_parked) {
    end(event_step::park, error);
    if (error) return try_again(error);
    if (!is_parked) {
        tell(event_type::fenced);
        return refuse_in_flight(milliseconds::zero());
    }
    tell(event_type::parked);
    return settle();
}

/// Gives the claim up after the handler has run.
exchange::step exchange::start_release() {
    bool const says_so = execution_->decision() == execution::verdict::release;
    if (says_so && execution_->next_step().offset > 0) return step::take_back;
    if (says_so || !execution_->has_unsaved_step()) return start_abandon();
    // A step has run that no later attempt will find. So it is as if this attempt had come to no end.
    tell(event_type::held);
    return leave_to_lease();
}

exchange::step exchange::taken_back(error_code error) {
    if (!error) return start_abandon();
    tell(event_type::held, error);
    return leave_to_lease();
}

complete_request exchange::complete() const {
    auto const retention = execution_ ? execution_->retention() : std::nullopt;
    return {claim_.key,     claim_.fingerprint, claim_.fencing_token, record_, retention.value_or(claim_.retention),
            claim_.remember};
}

exchange::step exchange::completed(error_code error, complete_result result) {
    end_commit(error);
    end(event_step::complete, error);
    if (error) return complete_failed(error);
    if (unkeyed_) return respond(pending_);
    if (!std::holds_alternative<done>(result)) return fenced_off(std::move(result));
    if (!has_reconciled_record_) tell(tombstone_ ? event_type::tombstone : event_type::executed);
    return settle();
}

/// The store knows, or will not: the client gets what this execution came to.
exchange::step exchange::settle() {
    if (std::exchange(reconciling_, false)) {
        last_was_unknown_ = true;
        return wait_or(&exchange::refuse_unknown);
    }
    return has_reconciled_record_ ? met_completed(record_) : respond(pending_);
}

exchange::step exchange::complete_failed(error_code error) {
    // There is no effect either, unless the store cannot tell: the response would promise too much.
    if (lifetime_ == claim_lifetime::transaction) return refuse_unavailable();
    // No room for the response is room for a tombstone without a trace: Claim has reserved it.
    bool const is_smallest = tombstone_ && record_.size() <= record_format::tombstone_size;
    if (error == idempo::error::store_full && !is_smallest) {
        tombstone_ = true;
        return start_complete(make_tombstone(status_));
    }
    return try_again(error);
}

/// What the handler's run came to must reach the store.
exchange::step exchange::try_again(error_code error) {
    auto const now = now_();
    if (!persisting_) {
        persisting_ = true;
        pause_until_ = now + options_.persist_timeout;
        pause_ = milliseconds::zero();
    }
    if (now < *pause_until_) {
        pause_ = longer_pause(pause_, now, *pause_until_);
        return step::pause;
    }
    tell(event_type::not_persisted, error);
    return leave_to_lease();
}

exchange::step exchange::fenced_off(complete_result result) {
    tell(event_type::fenced);
    if (auto* met = std::get_if<idempo::completed>(&result)) {
        return met_completed(std::move(met->record));
    }
    if (auto* met = std::get_if<in_flight>(&result)) {
        return refuse_in_flight(met->lease_remaining);
    }
    return guards() ? refuse(refusal::duplicate) : refuse(refusal::key_reused, event_type::mismatch);
}

exchange::step exchange::leave_to_lease() {
    if (lifetime_ != claim_lifetime::call) return settle();
    begin(event_step::renew);
    return step::renew;
}

exchange::step exchange::renewed(error_code error) {
    end(event_step::renew, error);
    return settle();
}

exchange::step exchange::start_abandon() {
    begin(event_step::abandon);
    return step::abandon;
}

exchange::step exchange::abandoned(error_code error) {
    end(event_step::abandon, error);
    confirming_ = false;
    if (std::exchange(is_late_, false)) return claim_again(error);
    // Where that failed, the claim is left to its lease. Who takes it over looks again before anything runs.
    if (goes_to_) return gave_up();
    if (reconciling_) return error ? leave_to_lease() : settle();
    if (!running_) return go_without_claim();
    if (pending_ == answer_source::refusal) return refuse_unavailable();
    if (unkeyed_) return respond(pending_);
    tell(error ? event_type::held : event_type::released, error);
    return error ? leave_to_lease() : settle();
}

exchange::step exchange::refuse_unavailable() {
    refusal_.retry_after = options_.retry_after;
    return refuse(refusal::store_unavailable);
}

exchange::step exchange::refuse(idempo::refusal what, event_type outcome) {
    refusal_.what = what;
    refusal_.field = options_.header;
    status_ = options_.problems[what].status;
    tell(outcome);
    return respond(answer_source::refusal);
}

exchange::step exchange::refuse_in_flight(milliseconds lease_remaining) {
    // Rounded up: who comes back when the lease has not ended yet, comes in vain.
    auto const remaining = std::max(std::chrono::ceil<std::chrono::seconds>(lease_remaining), shortest_retry_after);
    refusal_.retry_after = std::min(options_.retry_after, remaining);
    return refuse(refusal::in_flight, event_type::in_flight);
}

exchange::step exchange::respond(answer_source answer) noexcept {
    answer_ = answer;
    settled_ = true;
    return step::respond;
}

response_fields exchange::answer_fields() const {
    response_fields fields;
    if (!echoed_.empty()) fields.set(options_.header, echoed_);
    bool const is_final_refusal = answer_ == answer_source::refusal && is_final(refusal_.what) && !refusal_.retry_after;
    if (is_final_refusal && !options_.should_retry_header.empty()) fields.set(options_.should_retry_header, "false");
    return fields;
}

void exchange::report_to(idempo::execution& outer) const noexcept {
    if (answer_ == answer_source::refusal) return outer.release();
    if (answer_ == answer_source::stored) return outer.pass_replay();
    if (!execution_) return;
    if (execution_->forgets_body()) outer.forget_body();
    if (execution_->decision() == execution::verdict::keep) outer.keep();
    // Where it is parked here, the outer layer must ask here again.
    if (execution_->decision() == execution::verdict::release) outer.release();
    if (execution_->decision() == execution::verdict::unknown) outer.release();
}

/// In a transaction: whether the handler's rows stay.
bool exchange::commits(unsigned status) {
    constexpr unsigned first_error = 400;
    if (commit_if_ == nullptr || execution_->decision() == execution::verdict::release) return false;
    if (execution_->decision() == execution::verdict::keep) return true;
    try {
        if (*commit_if_) return (*commit_if_)(status);
    } catch (...) {  // a success that the client sees must be committed
        tell(event_type::handler_threw, {}, std::current_exception());
    }
    return status < first_error;
}

bool exchange::stores(unsigned status) {
    if (execution_->decision() == execution::verdict::keep) return true;
    if (execution_->decision() == execution::verdict::release) return false;
    if (guards()) return status >= 200 && status < 300;
    if (!options_.store_if) return stored_by_default(status);
    try {
        return options_.store_if(status);
    } catch (...) {  // the handler ran: a repeated answer does less harm than a repeated effect
        tell(event_type::handler_threw, {}, std::current_exception());
        return true;
    }
}

/// Whether nobody can tell from the answer what became of the effect.
bool exchange::holds(unsigned status) {
    if (!options_.hold_if || execution_->decision() != execution::verdict::by_policy) return false;
    try {
        return options_.hold_if(status);
    } catch (...) {
        tell(event_type::handler_threw, {}, std::current_exception());
        return true;
    }
}

std::optional<shared_bytes> exchange::record_of(http::response<http::string_body> const& response) const {
    return make_record(response, policy());
}

/// Empty where the application cannot say what may be stored: then nothing of the response is.
std::optional<shared_bytes> exchange::sanitized(shared_bytes record) {
    try {
        error_code error;
        auto const whole = stored_response::decode(std::move(record), error);
        auto response = make_replay(whole, any_version, any_keep_alive, {}, {});
        options_.sanitize(response);
        if (auto stored = record_of(response)) return stored;
    } catch (...) {
        tell(event_type::handler_threw, {}, std::current_exception());
    }
    tombstone_ = true;
    return std::nullopt;
}

void exchange::begin(event_step timed) {
    current_ = timed;
    if (!options_.observer) return;
    began_ = now_();
    tell_step(event_type::step_began, timed, {}, {});
}

void exchange::end(event_step timed, error_code error) {
    if (!options_.observer) return;
    auto const duration = now_() - began_;
    tell_step(event_type::step_ended, timed, duration, error);
    if (error) tell_step(event_type::store_error, timed, duration, error);
}

void exchange::committing() {
    if (!options_.observer) return;
    commit_began_ = now_();
    tell_step(event_type::step_began, event_step::commit, {}, {});
}

void exchange::end_commit(error_code error) {
    if (!commit_began_) return;
    tell_step(event_type::step_ended, event_step::commit, now_() - *commit_began_, error);
    commit_began_.reset();
}

void exchange::tell_step(event_type type, event_step timed, std::chrono::steady_clock::duration duration,
                         error_code error) {
    if (unkeyed_) return;
    event event;
    event.type = type;
    event.step = timed;
    event.key = claim_.key;
    event.fencing_token = claim_.fencing_token;
    event.attempt = attempt_;
    event.duration = duration;
    event.error = error;
    event.traceparent = trace_.view();
    notify(options_.observer, event);
}

void exchange::tell(event_type type, error_code error, std::exception_ptr exception) {
    if (!options_.observer) return;
    // A reconciled response that could not be stored is answered as a replay, but that is not what became of it.
    bool const is_outcome = type >= event_type::executed && type <= event_type::record_unreadable;
    if (is_outcome && std::exchange(has_outcome_, true)) return;
    event event;
    event.type = type;
    event.step = current_;
    event.key = claim_.key;
    event.fencing_token = claim_.fencing_token;
    event.attempt = attempt_;
    event.status = status_;
    event.error = error;
    event.exception = std::move(exception);
    event.traceparent = trace_.view();
    if (options_.keep_traceparent) event.first_traceparent = stored_.traceparent();
    notify(options_.observer, event);
}

observer exchange::observer_with_trace() const {
    if (!options_.observer || trace_.view().empty()) return options_.observer;
    return [told = options_.observer, trace = trace_](event traced) {
        traced.traceparent = trace.view();
        told(traced);
    };
}

}  // namespace idempo::detail
