// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/connection/binary_parameters.hpp>
#include <idempo/postgres/connection/result.hpp>

#include <libpq-fe.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

namespace idempo::postgres {

/// Why a statement failed.
struct statement_failure : std::runtime_error {
    statement_failure(std::string code, bool is_lost, bool is_late = false);

    /// As PostgreSQL names the error; empty where it did not.
    std::string sqlstate;
    /// The connection must not be used again, and it is unknown whether the statement was carried out.
    bool connection_lost;
    /// The server did not answer in time, and may still be at work.
    bool timed_out;
};

/// What became of a message with several statements.
struct script_outcome {
    /// Of the statements that succeeded, in their order.
    std::vector<result> results;
    /// Of the one that failed, after which none was carried out. Empty where all succeeded.
    std::string sqlstate{};
    [[nodiscard]] bool has_succeeded() const noexcept { return sqlstate.empty(); }
};

/// \name Round trips
/// Each sends one message and waits for its answer until the deadline, without blocking in libpq.
/// \{

/// Statements without parameters, separated by semicolons. Fields are text.
/// \throws statement_failure where the connection is lost
[[nodiscard]] script_outcome run_script(PGconn* on, std::string const& statements,
                                        std::chrono::steady_clock::time_point deadline);

/// One statement. Fields are binary.
/// \throws statement_failure
[[nodiscard]] result run_statement(PGconn* on, std::string const& text, binary_parameters const& parameters,
                                   std::chrono::steady_clock::time_point deadline);

/// Lets the session know a statement by a name.
/// \throws statement_failure
void prepare_statement(PGconn* on, std::string const& name, std::string const& text,
                       std::chrono::steady_clock::time_point deadline);

/// One that the session knows. Fields are binary.
/// \throws statement_failure
[[nodiscard]] result run_prepared(PGconn* on, std::string const& name, binary_parameters const& parameters,
                                  std::chrono::steady_clock::time_point deadline);

/// \}

}  // namespace idempo::postgres
