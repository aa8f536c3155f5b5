// SPDX-License-Identifier: MIT
#pragma once

#include "check_trace/entry.hpp"
#include "check_trace/table.hpp"

#include <compare>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace check_trace {

/// Microseconds since 1970, or a span of them.
using microseconds = std::int64_t;

inline constexpr microseconds never = std::numeric_limits<microseconds>::max();
inline constexpr microseconds always = std::numeric_limits<microseconds>::min();

/// Without overflow.
[[nodiscard]] constexpr microseconds later(microseconds at, microseconds by) noexcept {
    if (at == always) return always;
    return by >= never - std::max<microseconds>(at, 0) ? never : at + by;
}

/// One call of a store, with what is known of its answer.
struct call {
    subject what = subject::claim;
    std::uint64_t process = 0;
    std::uint64_t token = 0;
    std::uint32_t request = 0;
    std::uint32_t record = 0;  ///< checksum: of Complete and `settle` what is stored, of an answer `completed` what was
    unsigned attempt = 0;      ///< of `settle`, and of the answer
    microseconds lease = 0;
    microseconds retention = 0;
    microseconds remember = 0;
    bool takes_over = true;
    bool takes_parked = false;
    answer how = answer::none;
    std::uint32_t stored = 0;  ///< of the answer `completed`
    bool has_steps = false;    ///< of the answer `granted`

    /// When it can have been executed: between these.
    microseconds began = 0;
    microseconds ended = never;
    /// When it can be executed once more, at the latest.
    microseconds repeated = never;
    std::uint64_t first_line = 0;  ///< the number in its process
    std::uint64_t last_line = 0;
    /// For the report: of the last line.
    std::uint32_t file = 0;
    std::uint64_t line = 0;
};

/// A record as the model knows it. What nobody knows is 0, except for the state.
struct record {
    /// One of `state`, or `unknown_state`. `live` stands for `over`, too, where time decides.
    bits is = state::absent;
    std::uint64_t token = 0;  ///< of the holder, or of who stored or parked it; `nobody`, or 0
    std::uint32_t request = 0;
    std::uint32_t stored = 0;
    int attempt = unknown_attempt;
    bool has_steps = false;
    bool may_have_steps = false;
    /// The earliest time at which they can have come.
    microseconds lease_end = always;
    microseconds expiry = always;
    microseconds mark_end = always;
    microseconds retention = 0;
    microseconds remember = 0;

    static constexpr bits unknown_state = 0;
    static constexpr int unknown_attempt = -1;
    static constexpr std::uint64_t nobody = 1;

    friend auto operator<=>(record const&, record const&) = default;
};

/// What the checker may assume.
struct assumptions {
    /// How far the clocks of two processes may differ: calls that are closer are concurrent.
    microseconds skew = 20'000;
    /// How far the store's clock may differ from theirs, or jump, from a record's beginning to its end.
    microseconds slack = 1'000'000;
    /// How long after its end a call may be executed once more: clients of stores repeat calls.
    microseconds repeat = 5'000'000;
    /// A store may lose any record at any time.
    bool may_lose = false;
    /// Every record is absent at first.
    bool begins_empty = false;
};

/// The records that may follow, where the call finds `before` and gets its answer; none where it cannot get that.
void follow(record const& before, call const& done, assumptions const& given, std::vector<record>& after);

/// The records that a call without an answer may leave, other than `before`.
void follow_any(record const& before, call const& begun, assumptions const& given, std::vector<record>& after);

/// What the model says where a call finds this record; empty where it says nothing.
[[nodiscard]] std::string rule_for(record const& before, call const& done, assumptions const& given);

/// As a sentence says it: "in flight under 0123456789abcdef, attempt 2".
[[nodiscard]] std::string describe(record const& of);
[[nodiscard]] std::string describe(call const& of);

[[nodiscard]] std::string_view to_string(answer how) noexcept;
/// `answer::none` for "error"; `refused` for "full". \throws malformed
[[nodiscard]] answer answer_of(subject what, std::string_view word);

}  // namespace check_trace
