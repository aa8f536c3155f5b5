// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/postgres/link.hpp"
#include "simulation/postgres/statement.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace idempo::simulation {

/// A server process, which carries out the statements of one connection.
struct postgres_session {
    int number = 0;
    std::size_t process = 0;
    /// Of the process that has connected.
    unsigned process_life = 0;
    std::shared_ptr<postgres_link> link{};
    std::deque<postgres_message> inbox{};

    /// What it is at work on.
    std::optional<statement_run> run{};
    std::size_t next_row = 0;
    bool has_begun_row = false;
    /// What it has done in a transaction that goes on.
    std::vector<statement_run> done{};
    std::set<std::string> locks{};
    /// The row that it waits for.
    std::string waits_for{};
    bool is_in_transaction = false;
    /// How long it waits for the next statement of a transaction; zero: for ever.
    std::chrono::milliseconds idle_limit{0};
    bool has_failed = false;
    bool is_busy = false;
    bool is_committing = false;
    /// Its commit is on the disk, and waits for a standby, or for the machine to go on.
    bool is_flushed = false;
    /// What is said after the commit.
    postgres_answer reply{};
    /// Of what is planned for it.
    unsigned epoch = 0;
    unsigned messages = 0;

    bool is_client_gone = false;
    bool is_over = false;
    bool is_sweeper = false;
    /// Completes that were not stored: a look at their records follows.
    std::vector<asked_row> not_stored{};
};

}  // namespace idempo::simulation
