// SPDX-License-Identifier: MIT
#include "check_trace/table.hpp"

#include <array>

namespace check_trace {

namespace {

// The only macros of this tool: the model, in Promela, includes the same rows.
#define IDEMPO_ROW(is_modelled, name, operation, at, attempt, token, asks, gives, next, whose, numbered, words)        \
    step{#name,         is_modelled,   op::operation, state::at,     attempts::attempt, caller::token,                 \
         request::asks, answer::gives, state::next,   holder::whose, number::numbered,  words},
#define STEP(...) IDEMPO_ROW(true, __VA_ARGS__)
#define LATER(...) IDEMPO_ROW(false, __VA_ARGS__)
constexpr auto table = std::to_array<step>({
#include "model/transitions.def"
});
#undef LATER
#undef STEP
#undef IDEMPO_ROW

}  // namespace

std::span<step const> all_steps() { return table; }

}  // namespace check_trace
