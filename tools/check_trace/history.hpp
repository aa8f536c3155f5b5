// SPDX-License-Identifier: MIT
#pragma once

#include "check_trace/record.hpp"

#include <optional>
#include <string>
#include <vector>

namespace check_trace {

/// A step that the model forbids.
struct forbidden {
    call at;
    /// What the record was then, in the order of calls that explains most of them.
    record found;
    std::string rule;
};

/// What became of some calls of one record.
struct explanation {
    /// The possible records afterwards; none where no order explains the answers.
    std::vector<record> after;
    std::optional<forbidden> first;
    /// There were too many orders to try them all: `after` may lack some.
    bool is_undecided = false;
};

/// Whether some order of the calls explains their answers: one in which a call that had ended before another began
/// comes before it (Wing and Gong; Lowe). Calls of one process are ordered by their lines, calls of two by their times,
/// where those differ by more than the skew.
/// \param lost calls without an answer: each may be executed after it began, at any time, often or never
[[nodiscard]] explanation explain(std::vector<record> const& before, std::vector<call> const& calls,
                                  std::vector<call> const& lost, assumptions const& given);

}  // namespace check_trace
