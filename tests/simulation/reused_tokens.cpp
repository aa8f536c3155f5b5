// SPDX-License-Identifier: MIT
#include "simulation/reused_tokens.hpp"

#include <utility>
#include <variant>

namespace idempo::simulation {

store_call reused_tokens::translated(store_call call) {
    auto const by = token_of(call);
    if (by == fencing_token{}) return call;
    auto& spent = spent_[key_of(call)];
    bool const is_new = known_.insert(by).second;
    if (is_new && std::holds_alternative<claim_request>(call) && !spent.empty()) {
        told_[by] = spent.front();
        spent.pop_front();
    }
    auto const found = told_.find(by);
    auto const told = found == told_.end() ? by : found->second;
    std::visit(
        [&](auto& request) {
            if constexpr (requires { request.fencing_token; }) request.fencing_token = told;
        },
        call);
    if (std::holds_alternative<abandon_request>(call)) spent.push_back(told);
    return call;
}

}  // namespace idempo::simulation
