// SPDX-License-Identifier: MIT
#include "simulation/claim_ledger.hpp"

#include <variant>

namespace idempo::simulation {

namespace {

constexpr std::string_view own_token = "a claim has a fencing token of its own";
constexpr std::string_view same_token = "a retried call keeps its fencing token";

granted const* grant_in(store_answer const& answer) {
    auto const* const result = std::get_if<claim_result>(&answer.result);
    return answer.error || result == nullptr ? nullptr : std::get_if<granted>(result);
}

/// Whether the store has looked, written nothing, and leaves it to the middleware to ask for more.
bool may_be_asked_again(store_answer const& answer) {
    auto const* const result = std::get_if<claim_result>(&answer.result);
    if (answer.error || result == nullptr) return false;
    return std::holds_alternative<expired>(*result) || std::holds_alternative<parked>(*result) ||
           std::holds_alternative<mismatch>(*result);
}

}  // namespace

std::string_view claim_ledger::sent(store_call const& call, std::uint64_t at) {
    auto const by = token_of(call);
    if (by == fencing_token{}) return {};
    auto& known = entries_.try_emplace(by, entry{key_of(call)}).first->second;
    if (known.key != key_of(call)) return own_token;
    bool const is_claim = std::holds_alternative<claim_request>(call);
    if (is_claim && known.is_spent) return own_token;
    if (is_claim) known.sent_at = at;
    known.is_spent = known.is_spent || is_claim || std::holds_alternative<abandon_request>(call);
    return {};
}

void claim_ledger::answered(claim_request const& claim, store_answer const& answer) {
    auto const found = entries_.find(claim.fencing_token);
    if (found != entries_.end() && may_be_asked_again(answer)) found->second.is_spent = false;
}

std::string_view claim_ledger::applied(store_call const& call, store_answer const& answer, unsigned life,
                                       std::uint64_t at) {
    auto const by = token_of(call);
    if (by == fencing_token{}) return {};
    auto const found = entries_.find(by);
    if (found == entries_.end()) return same_token;
    if (auto const* const granted_now = grant_in(answer)) {
        auto& grant = found->second.grants.try_emplace(granted_now->attempt, claim_grant{at, life}).first->second;
        if (grant.life != life) grant = {at, life};
    }
    auto const* const step = std::get_if<step_request>(&call);
    if (step != nullptr && !answer.error && std::get<bool>(answer.result)) found->second.kept.insert(step->offset);
    return {};
}

void claim_ledger::lose(store_key const& key) {
    for (auto& [by, known] : entries_) {
        if (known.key != key) continue;
        for (auto& [attempt, grant] : known.grants) grant.life = claim_grant::lost_life;
    }
}

void claim_ledger::restore(store_call const& call, store_answer const& answer, unsigned life) {
    auto const* const granted_then = grant_in(answer);
    auto const found = entries_.find(token_of(call));
    if (granted_then == nullptr || found == entries_.end()) return;
    auto const grant = found->second.grants.find(granted_then->attempt);
    if (grant != found->second.grants.end()) grant->second.life = life;
}

claim_grant const* claim_ledger::find(fencing_token const& by, unsigned attempt) const {
    auto const found = entries_.find(by);
    if (found == entries_.end()) return nullptr;
    auto const grant = found->second.grants.find(attempt);
    return grant == found->second.grants.end() ? nullptr : &grant->second;
}

std::uint64_t claim_ledger::sent_at(fencing_token const& by) const {
    auto const found = entries_.find(by);
    return found == entries_.end() ? 0 : found->second.sent_at;
}

std::size_t claim_ledger::kept_steps(fencing_token const& by) const {
    auto const found = entries_.find(by);
    return found == entries_.end() ? 0 : found->second.kept.size();
}

}  // namespace idempo::simulation
