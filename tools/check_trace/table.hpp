// SPDX-License-Identifier: MIT
#pragma once

#include <span>
#include <string_view>

/// \file
/// The table of `model/transitions.def`, which the model includes, too: what a store may answer, and what that does to
/// a record.

namespace check_trace {

/// Sets of these: each enumerator is a bit, or a set that the table names.
using bits = unsigned;

namespace op {
enum : bits {
    claim_over = 1U << 0U,
    claim_hold = 1U << 1U,
    claim_ask = 1U << 2U,
    claim = claim_over | claim_hold | claim_ask,
    complete = 1U << 3U,
    abandon = 1U << 4U,
    abandon_steps = 1U << 5U,
    abandon_any = abandon | abandon_steps,
    renew = 1U << 6U,
    save_step = 1U << 7U,
    park = 1U << 8U,
    settle_answer = 1U << 9U,
    settle_free = 1U << 10U,
    settle_steps = 1U << 11U,
    settle = settle_answer | settle_free | settle_steps,
    settle_another = 1U << 12U,
    forget = 1U << 13U,
};
}

namespace state {
enum : bits {
    absent = 1U << 0U,
    live = 1U << 1U,
    over = 1U << 2U,
    done = 1U << 3U,
    free = 1U << 4U,
    parked = 1U << 5U,
    asked = 1U << 6U,
    marked = 1U << 7U,
    open = live | over,
    there = open | done,
    held = open | asked,
    other_open = free | parked | asked,
    stays = 0,
};
}

namespace attempts {
enum : bits { one = 1U << 0U, more = 1U << 1U, any = one | more };
}

namespace caller {
enum : bits { own = 1U << 0U, other = 1U << 1U, any = own | other };
}

namespace request {
enum : bits { same = 1U << 0U, other = 1U << 1U, any = same | other };
}

enum class answer {
    none,  ///< the call has begun, and nobody knows what came of it
    granted,
    in_flight,
    mismatch,
    completed,
    expired,
    parked,
    remembered,
    done,
    ok,
    held,
    lost,
    kept,
    refused,
    settled,
    forgotten,
    nothing,
};

enum class holder { same, caller, nobody };
enum class number { same, one, plus, minus, none };

/// One row.
struct step {
    std::string_view name;
    /// Whether the model has it, too.
    bool is_modelled;
    bits operation;
    bits state;
    bits attempts;
    bits token;
    bits request;
    check_trace::answer answer;
    /// One of `state`, or `stays`.
    bits next;
    check_trace::holder holder;
    check_trace::number number;
    std::string_view words;
};

/// What an operation finds: a bit each.
struct situation {
    bits operation;
    bits state;
    bits attempts;
    bits token;
    bits request;
};

[[nodiscard]] constexpr bool fits(step const& row, situation const& found) {
    return (row.operation & found.operation) != 0 && (row.state & found.state) != 0 &&
           (row.attempts & found.attempts) != 0 && (row.token & found.token) != 0 && (row.request & found.request) != 0;
}

[[nodiscard]] std::span<step const> all_steps();

}  // namespace check_trace
