// SPDX-License-Identifier: MIT
#include "simulation/ground_truth.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace idempo::simulation {

namespace {

store_manners manners_of(store_kind store) {
    using std::chrono::milliseconds;
    if (store == store_kind::memory) return {};
    // PostgreSQL's clock is finer than the spans by which its answers are followed.
    if (store == store_kind::postgresql) return {.restarts_retention_of_parked = true, .expiry_delay = milliseconds{2}};
    // Redis keeps a record to the end of its last millisecond, and its scripts may add one more.
    return {.restarts_lease = false, .abandon_moves_expiry = false, .expiry_delay = milliseconds{3}};
}

}  // namespace

ground_truth::ground_truth(scenario const& setup, chronicle& told, std::vector<store_key> const& keys)
    : setup_(setup),
      told_(told),
      keys_(keys),
      manners_(manners_of(setup.store)),
      disturbed_at_(setup.processes) {
    truth_.resize(keys.size());
    for (auto& of : truth_) of.record = contract_record(manners_);
}

std::optional<std::size_t> ground_truth::index_of(store_key const& key) const {
    auto const found = std::find(keys_.begin(), keys_.end(), key);
    if (found == keys_.end()) return std::nullopt;
    return static_cast<std::size_t>(found - keys_.begin());
}

run* ground_truth::find(fencing_token const& by) {
    auto const found =
        std::find_if(runs_.rbegin(), runs_.rend(), [&](run const& of) { return of.fencing_token == by; });
    return found == runs_.rend() ? nullptr : &*found;
}

void ground_truth::sent(std::size_t process, store_call const& call) {
    auto const complaint = claims_.sent(call, tick());
    if (!complaint.empty()) told_.violated(complaint, "process ", process, ", ", told_.name(token_of(call)));
    auto const* abandon = std::get_if<abandon_request>(&call);
    if (abandon == nullptr) return;
    auto const* const of = find(abandon->fencing_token);
    if (of == nullptr || of->end == ending::released) return;
    told_.violated("nothing is abandoned that ran", "process ", process, " abandons run ", of->number);
}

void ground_truth::applied(store_call const& call, store_answer const& answer, std::uint64_t sent_at,
                           time_point store_time) {
    auto const index = index_of(key_of(call));
    if (!index) return told_.violated("a key belongs to one request", "an unknown store key");
    auto& of = truth_[*index];
    check_abandoned(of, call);
    if (setup_.store != store_kind::memory) answers_.answered(call, answer);
    auto const complain = [&](std::string_view complaint) {
        if (!complaint.empty()) told_.violated(complaint, "key ", *index, ", by ", told_.name(token_of(call)));
    };
    complain(of.record.follow(call, answer, store_time));
    complain(claims_.applied(call, answer, of.record.lives(), tick()));
    if (of.record.lives() != of.lives) begin_life(of);
    follow_end(of, call);
    if (of.record.was_taken_over()) {
        told_.count("takeovers");
        ++of.allowed;
        check_needless_takeover(of);
    }
    remember(of, call, answer, sent_at);
}

/// An Abandon may come late, but not to a claim that runs.
void ground_truth::check_abandoned(key_truth const& of, store_call const& call) {
    if (!std::holds_alternative<abandon_request>(call) || of.record.holder() != token_of(call)) return;
    auto const* const ran = find(token_of(call));
    if (ran == nullptr || ran->end != ending::running) return;
    told_.violated("nothing is abandoned that ran", "run ", ran->number, " loses its claim to an Abandon");
}

/// The record has ended: the key is new.
void ground_truth::begin_life(key_truth& of) {
    of.lives = of.record.lives();
    ++of.allowed;
    of.answers_may_differ = true;
    of.history_is_cut = true;
    of.kept_steps.clear();
}

/// A claim that is given up after its effect allows another one.
void ground_truth::follow_end(key_truth& of, store_call const& call) {
    auto const* abandon = std::get_if<abandon_request>(&call);
    if (abandon == nullptr) return;
    auto* const ran = find(abandon->fencing_token);
    if (ran == nullptr || !ran->has_effect || ran->is_over) return;
    ran->is_over = true;
    ++of.allowed;
}

/// The lease of a handler that is well, and renews it, does not end.
void ground_truth::check_needless_takeover(key_truth const& of) {
    if (!setup_.options.heartbeat) return;
    auto const* const before = find(of.record.predecessor());
    if (before == nullptr || before->end != ending::running || is_disturbed(*before)) return;
    told_.violated("a heartbeat keeps the claim", "run ", before->number, " was taken over though nothing was wrong");
}

void ground_truth::remember(key_truth& of, store_call const& call, store_answer const& answer, std::uint64_t sent_at) {
    using kind = testing::past_operation::kind;
    if (answer.error) return;
    testing::past_operation past;
    past.fencing_token = token_of(call);
    past.began = sent_at;
    past.returned = tick();
    if (auto const* claim = std::get_if<claim_request>(&call)) {
        past.what = kind::claim;
        past.fingerprint = claim->fingerprint;
        past.take_over = claim->take_over;
        past.answer = std::get<claim_result>(answer.result);
    } else if (auto const* complete = std::get_if<complete_request>(&call)) {
        past.what = kind::complete;
        past.fingerprint = complete->fingerprint;
        past.bytes = complete->record.view();
        past.answer = std::get<complete_result>(answer.result);
    } else if (std::holds_alternative<abandon_request>(call)) {
        past.what = kind::abandon;
    } else if (std::holds_alternative<renew_request>(call)) {
        past.what = kind::renew;
        past.answer = std::get<bool>(answer.result);
    } else {
        // The checker of histories knows neither steps nor parked records.
        of.history_is_cut = of.history_is_cut || !std::holds_alternative<peek_request>(call);
        return;
    }
    of.history.push_back(std::move(past));
}

void ground_truth::answered_to(std::size_t process, claim_request const& claim, store_answer const& answer) {
    claims_.answered(claim, answer);
    auto const index = index_of(claim.key);
    auto const* const result = std::get_if<claim_result>(&answer.result);
    auto const* const grant = result == nullptr ? nullptr : std::get_if<granted>(result);
    if (!index || answer.error || grant == nullptr) return;
    truth_[*index].grants[{process, grant->attempt}] = claim.fencing_token;
}

void ground_truth::delivered(store_call const& call, store_answer const& answer) {
    auto const complaint = answers_.delivered(call, answer);
    if (!complaint.empty()) told_.violated(complaint, "by ", told_.name(token_of(call)));
}

void ground_truth::failed_over(std::vector<store_call> const& lost, std::vector<store_event> const& kept) {
    for (auto const& call : lost) lose(call, kept);
    for (auto& of : truth_) {
        of.record = contract_record(manners_);
        of.lives = 0;
    }
    disturb_all();
    for (auto const& each : kept) restore(each);
}

void ground_truth::lose(store_call const& call, std::vector<store_event> const& kept) {
    auto const index = index_of(key_of(call));
    if (!index) return;
    bool const is_replicated = setup_.redis.waits_for_replica || setup_.postgres.is_synchronous;
    if (is_replicated && answers_.is_missed(call, kept))
        told_.violated("an acknowledged write survives a failover", "key ", *index, ", by ",
                       told_.name(token_of(call)));
    auto& of = truth_[*index];
    ++of.allowed;
    of.answers_may_differ = true;
    of.history_is_cut = true;
    of.kept_steps.clear();
    claims_.lose(key_of(call));
    for (auto& ran : runs_) {
        if (ran.key == *index) ran.claim.life = claim_grant::lost_life;
    }
}

void ground_truth::restore(store_event const& kept) {
    auto const index = index_of(key_of(kept.call));
    if (!index) return;
    auto& of = truth_[*index];
    static_cast<void>(of.record.follow(kept.call, kept.answer, kept.when));
    of.lives = of.record.lives();
    claims_.restore(kept.call, kept.answer, of.lives);
}

run& ground_truth::started(std::size_t key, std::size_t process, unsigned attempt) {
    auto& of = truth_[key];
    run made;
    made.number = runs_.size();
    made.key = key;
    made.process = process;
    made.attempt = attempt;
    made.claim.life = of.lives;
    told_.count("executions");
    if (attempt == 0) {
        ++of.allowed;
        of.answers_may_differ = true;
        told_.count("unprotected executions");
        return runs_.emplace_back(std::move(made));
    }
    auto const grant = of.grants.find({process, attempt});
    if (grant == of.grants.end()) {
        told_.violated("a handler runs under a claim", "key ", key, ", attempt ", attempt, " in process ", process);
        return runs_.emplace_back(std::move(made));
    }
    made.fencing_token = grant->second;
    if (!of.ran.insert(made.fencing_token).second) {
        told_.violated("a claim runs once", "key ", key, ", token ", told_.name(made.fencing_token));
    }
    auto const* const claim = claims_.find(made.fencing_token, attempt);
    if (claim == nullptr) {
        told_.violated("a handler runs under a claim", "key ", key, ": the store has not granted ",
                       told_.name(made.fencing_token), " as attempt ", attempt);
        return runs_.emplace_back(std::move(made));
    }
    made.claim = *claim;
    check_earlier_attempts(made);
    return runs_.emplace_back(std::move(made));
}

/// A process that was stopped may start its handler when later attempts have come and gone, and when the store has lost
/// its claim.
void ground_truth::check_earlier_attempts(run const& made) {
    if (made.claim.life != truth_[made.key].lives) return;
    for (auto const& earlier : runs_) {
        bool const is_known = earlier.key == made.key && earlier.attempt != 0 &&
                              earlier.claim.life == made.claim.life && !earlier.is_over && earlier.has_effect;
        if (!is_known || earlier.attempt < made.attempt || earlier.claim.at >= made.claim.at) continue;
        told_.violated("an execution is told of earlier attempts", "key ", made.key, ": run ", earlier.number,
                       " was attempt ", earlier.attempt, ", and this one is ", made.attempt);
    }
}

void ground_truth::had_effect(run& of) {
    auto& truth = truth_[of.key];
    of.has_effect = true;
    if (++truth.effects > 1) told_.count("allowed duplicates");
    told_.count("effects");
    if (truth.effects > truth.allowed) {
        told_.violated("one effect", "key ", of.key, " has had ", truth.effects, " effects, and ", truth.allowed,
                       " are allowed with what has gone wrong");
    }
}

run const* ground_truth::run_with_effect(std::size_t key, std::string_view charge_key) const {
    auto const is_it = [&](run const& of) {
        return of.key == key && of.attempt != 0 && of.charge_key == charge_key && of.has_effect &&
               of.claim.life == truth_[key].lives && !of.is_over;
    };
    auto const found = std::find_if(runs_.begin(), runs_.end(), is_it);
    return found == runs_.end() ? nullptr : &*found;
}

run const* ground_truth::run_that_parked(std::size_t key) const {
    auto const found = std::find_if(runs_.rbegin(), runs_.rend(),
                                    [&](run const& of) { return of.key == key && of.end == ending::parked; });
    return found == runs_.rend() ? nullptr : &*found;
}

void ground_truth::ran_step(run& of, std::string const& label) {
    told_.count("steps");
    auto& truth = truth_[of.key];
    of.step = label;
    if (of.attempt == 0) return;  // without a claim, nothing is known of earlier steps
    auto const kept = truth.kept_steps.find(label);
    if (kept != truth.kept_steps.end() && of.claim.at > kept->second && of.claim.life == truth.lives) {
        told_.violated("a kept step is not repeated", "key ", of.key, ", run ", of.number, ", step ", label);
    }
}

void ground_truth::kept_step(run& of, std::string const& label) {
    if (of.attempt == 0) return;
    auto& truth = truth_[of.key];
    if (of.claim.life == truth.lives) truth.kept_steps.emplace(label, tick());
    if (of.step != label) return;  // an earlier attempt has run it
    if (claims_.kept_steps(of.fencing_token) >= ++of.kept_steps) return;
    told_.violated("a handler goes on when its step is kept", "key ", of.key, ", run ", of.number, ", step ", label);
}

/// Since it asked for its claim: its lease may be as old as that.
bool ground_truth::is_disturbed(run const& of) const {
    return disturbed_at_[of.process] > claims_.sent_at(of.fencing_token);
}

void ground_truth::disturb(std::size_t process) { disturbed_at_[process] = tick(); }

void ground_truth::disturb_all() { std::fill(disturbed_at_.begin(), disturbed_at_.end(), tick()); }

void ground_truth::died(std::size_t process) {
    disturb(process);
    for (auto& of : truth_) {
        std::erase_if(of.grants, [&](auto const& grant) { return grant.first.first == process; });
    }
}

/// What had ended before a clock went back has ended as long ago as before.
void ground_truth::clock_jumped(std::size_t process, duration by) {
    disturb(process);
    if (by >= duration::zero()) return;
    for (auto& of : runs_) {
        if (of.process == process) of.ended_at += by;
    }
}

/// A response leaves a process.
void ground_truth::answering(std::size_t key, seen_answer const& answer, time_point local_time) {
    if (answer.is_replay || !answer.run) return;
    auto const& of = runs_[*answer.run];
    auto& truth = truth_[key];
    if (of.end != ending::stored || of.attempt == 0) return;
    bool const is_stored =
        truth.record.is() == contract_record::state::completed && truth.record.holder() == of.fencing_token;
    if (is_stored || truth.answers_may_differ) return;
    if (local_time >= of.ended_at + setup_.options.persist_timeout) {
        told_.count("answers that could not be stored");
        truth.answers_may_differ = true;
        return;
    }
    told_.violated("an answer is stored before it is sent", "key ", key, ", run ", of.number);
}

void ground_truth::answered(std::size_t key, std::string const& payload, seen_answer const& answer) {
    if (answer.text.empty()) return;
    auto& truth = truth_[key];
    if (answer.text.substr(0, answer.text.find('|')) != payload) {
        told_.violated("a key belongs to one request", "key ", key, ": a client that sent ", payload, " got ",
                       answer.text);
    }
    // Guard mode keeps successes only: after any other answer the key is free.
    if (answer.run && runs_[*answer.run].end != ending::stored) return;
    if (truth.answer && *truth.answer != answer.text && !truth.answers_may_differ) {
        told_.violated("an answer stays the answer", "key ", key, ": ", *truth.answer, ", then ", answer.text);
    }
    truth.answer = answer.text;
}

void ground_truth::unanswered(std::size_t clients) {
    told_.violated("every client gets an answer", clients, " clients still have none");
}

void ground_truth::finish(time_point store_time) {
    for (std::size_t key = 0; key < truth_.size(); ++key) {
        auto& of = truth_[key];
        of.record.let_time_pass(store_time);
        check_history(key);
    }
}

/// In pieces that no operation spans, as the checker takes 64 at a time.
void ground_truth::check_history(std::size_t key) {
    auto& of = truth_[key];
    if (of.history_is_cut || of.history.empty()) return;
    constexpr std::size_t most = 40;
    std::set<testing::model_record> possible{testing::model_record{}};
    std::vector<testing::past_operation> piece;
    std::vector<std::uint64_t> next_begin(of.history.size() + 1, std::numeric_limits<std::uint64_t>::max());
    for (auto i = of.history.size(); i-- > 0;) next_begin[i] = std::min(next_begin[i + 1], of.history[i].began);
    for (std::size_t i = 0; i < of.history.size(); ++i) {
        piece.push_back(of.history[i]);
        bool const is_quiet = next_begin[i + 1] > of.history[i].returned;
        if (piece.size() >= most && !is_quiet) {
            // Too long: from here on, in the order in which they were applied.
            for (auto& operation : piece) operation.began = operation.returned - 1;
            next_begin[i + 1] = std::numeric_limits<std::uint64_t>::max();
        } else if (!is_quiet || piece.size() < most / 2) {
            if (i + 1 < of.history.size()) continue;
        }
        possible = testing::linearize(possible, piece);
        piece.clear();
        told_.count("histories checked");
        if (possible.empty()) {
            return told_.violated("the store's history is linearizable", "key ", key);
        }
    }
}

}  // namespace idempo::simulation
