// SPDX-License-Identifier: MIT
#include "simulation/answer_ledger.hpp"

#include <algorithm>
#include <variant>

namespace idempo::simulation {

namespace {

bool is_same(granted const& left, granted const& right) {
    return left.attempt == right.attempt && left.steps.view() == right.steps.view();
}
bool is_same(completed const& left, completed const& right) { return left.record.view() == right.record.view(); }
bool is_same(parked const& left, parked const& right) { return left.attempt == right.attempt; }
bool is_same(expired const& left, expired const& right) { return left.attempt == right.attempt; }
bool is_same(bool left, bool right) { return left == right; }
template <class Other>
bool is_same(Other const&, Other const&) {
    return true;
}
template <class... Kinds>
bool is_same(std::variant<Kinds...> const& left, std::variant<Kinds...> const& right) {
    return std::visit(
        []<class Left, class Right>(Left const& one, Right const& other) {
            if constexpr (std::is_same_v<Left, Right>) {
                return is_same(one, other);
            } else {
                return false;
            }
        },
        left, right);
}

/// Whether the caller may now rely on what it has asked to be written.
bool is_written(store_call const& call, store_answer const& answer) {
    if (answer.error) return false;
    if (auto const* const claim = std::get_if<claim_result>(&answer.result))
        return std::holds_alternative<granted>(*claim);
    if (auto const* const complete = std::get_if<complete_result>(&answer.result))
        return std::holds_alternative<done>(*complete);
    auto const* const is = std::get_if<bool>(&answer.result);
    return is != nullptr && *is && !std::holds_alternative<renew_request>(call);
}

}  // namespace

answer_ledger::call_name answer_ledger::name_of(store_call const& call) {
    auto const* const step = std::get_if<step_request>(&call);
    return {call.index(), token_of(call), step == nullptr ? 0 : step->offset};
}

void answer_ledger::answered(store_call const& call, store_answer const& answer) {
    if (token_of(call) != fencing_token{}) answers_[name_of(call)].push_back(answer);
}

std::string_view answer_ledger::delivered(store_call const& call, store_answer const& answer) {
    if (answer.error || token_of(call) == fencing_token{}) return {};
    auto const name = name_of(call);
    if (is_written(call, answer)) written_.insert(name);
    auto const found = answers_.find(name);
    bool const is_its = found != answers_.end() &&
                        std::any_of(found->second.begin(), found->second.end(),
                                    [&](store_answer const& given) { return is_same(given.result, answer.result); });
    return is_its ? std::string_view() : "an answer is the server's own";
}

bool answer_ledger::is_missed(store_call const& call, std::vector<store_event> const& kept) const {
    auto const name = name_of(call);
    if (!written_.contains(name)) return false;
    return std::ranges::none_of(kept, [&](store_event const& each) {
        return name_of(each.call) == name && is_written(each.call, each.answer);
    });
}

}  // namespace idempo::simulation
