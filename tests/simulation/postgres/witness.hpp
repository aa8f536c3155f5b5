// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/postgres/statement.hpp"
#include "simulation/store_call.hpp"
#include "simulation/virtual_time.hpp"

#include <cstddef>
#include <list>
#include <utility>
#include <vector>

/// \file
/// What statements and their rows say in terms of the contract of stores.

namespace idempo::simulation {

struct witnessed_postgres_call {
    store_call call;
    store_answer answer;
    postgres_time when = 0;
};
using witnessed_calls = std::vector<witnessed_postgres_call>;

/// Calls whose callers wait, each with its process.
using pending_calls = std::list<std::pair<std::size_t, store_call>>;

/// What the look alone answers. A record that stops a claim answers all claims of its key that wait in that process.
/// \param not_stored Completes whose records are read now
[[nodiscard]] witnessed_calls witness_look(statement_run const& run, std::size_t process, pending_calls const& pending,
                                           std::vector<asked_row> const& not_stored);

/// What a row answers that was locked and left as it is.
[[nodiscard]] witnessed_calls witness_refusal(statement_run const& run, statement_run::row_run const& row);

/// What has been written, at the commit.
[[nodiscard]] witnessed_calls witness_commit(statement_run const& run);

}  // namespace idempo::simulation
