// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/connection/connection.hpp>
#include <idempo/postgres/queue/operation.hpp>
#include <idempo/postgres/statements/statements.hpp>

#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

namespace idempo::postgres {

/// Outcomes of operations, each known by its place in the batch.
using answered = std::vector<std::pair<std::size_t, outcome>>;

/// Carries out operations of one kind, in the order of their keys; of one key several only where they are claims; one
/// `peek` or `forget`.
/// \param tell is called with the outcomes as they become known, each once: large records come a megabyte at a time
/// \throws statement_failure: those that have not been told may have been carried out, and may be carried out again
void carry_out(connection& with, statements const& sql, std::vector<request const*> const& all,
               std::function<void(answered)> const& tell);

}  // namespace idempo::postgres
