// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/store_call.hpp"

#include <cstddef>
#include <map>
#include <set>
#include <string_view>
#include <tuple>
#include <vector>

namespace idempo::simulation {

/// What the server of a store has answered, and what its client has made of that in the process that asked. Only for
/// calls with a fencing token.
class answer_ledger {
public:
    void answered(store_call const& call, store_answer const& answer);
    /// The answer has reached the caller. \return the check that failed, or nothing
    std::string_view delivered(store_call const& call, store_answer const& answer);
    /// Whether a caller relies on what the store has lost. A call that was made twice, as after an answer that was
    /// lost, is not gone while its other time is among what the store has kept.
    [[nodiscard]] bool is_missed(store_call const& call, std::vector<store_event> const& kept) const;

private:
    using call_name = std::tuple<std::size_t, fencing_token, std::size_t>;

    [[nodiscard]] static call_name name_of(store_call const& call);

    std::map<call_name, std::vector<store_answer>> answers_;
    /// Whose callers rely on it.
    std::set<call_name> written_;
};

}  // namespace idempo::simulation
