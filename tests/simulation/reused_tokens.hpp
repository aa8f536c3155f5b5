// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/store_call.hpp"

#include <idempo/identifiers.hpp>

#include <deque>
#include <map>
#include <set>

namespace idempo::simulation {

/// A seeded bug: a claim that comes after another one of its key was refused, or given up, in the same process, has
/// that one's fencing token. So a request that waits keeps its token.
class reused_tokens {
public:
    /// The call as the bug sends it.
    [[nodiscard]] store_call translated(store_call call);
    /// The answer says that the claim is not granted, and that waiting may help.
    void refused(claim_request const& claim) { spent_[claim.key].push_back(claim.fencing_token); }

private:
    std::map<store_key, std::deque<fencing_token>> spent_;
    std::set<fencing_token> known_;
    /// What the middleware calls a token, and what the store is told.
    std::map<fencing_token, fencing_token> told_;
};

}  // namespace idempo::simulation
