// SPDX-License-Identifier: MIT
#pragma once

#include "check_trace/record.hpp"

#include <cstddef>
#include <cstdint>
#include <unordered_set>
#include <vector>

namespace check_trace {

using tokens = std::unordered_set<std::uint64_t>;

/// Leaves out calls without an answer that explain nothing which others do not: while a store is away, a client that
/// repeats its request leaves hundreds. Of the Claims of one request by tokens that show nowhere else, the earliest
/// stay, and their Abandons: what a later one may have done, an earlier one may have done as late.
/// \param shown tokens that other calls or records name
/// \param most Claims of one request that stay: so many may have taken over from each other while nobody looked
[[nodiscard]] std::vector<call> without_alike(std::vector<call> const& unanswered, tokens const& shown,
                                              std::size_t most);

}  // namespace check_trace
