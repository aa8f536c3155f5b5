// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/connection/binary_parameters.hpp>
#include <idempo/postgres/connection/result.hpp>

#include <libpq-fe.h>

#include <chrono>
#include <map>
#include <string>

namespace idempo::postgres {

/// The statements that a session knows by name. The server parses and plans one of ours in many times the time that it
/// takes to carry it out.
/// https://www.postgresql.org/docs/current/sql-prepare.html
class prepared_statements {
public:
    /// Makes the session ready for them, where it is nobody else's: behind a pooler it is others', too, and keeps
    /// neither names nor settings. A plan is made once, and used whatever the parameters are; it looks up keys by their
    /// index, however few rows the table had when it was made. The server's JIT compiler is off: it needs longer for a
    /// statement of ours than the statement may take, where the database's settings make it believe in large costs.
    /// \param process_number the server's process, as it has said when the connection was made
    /// \throws statement_failure where the connection is lost
    void set_up(PGconn* on, int process_number, std::chrono::steady_clock::time_point deadline);

    /// Carries it out, by its name where the session keeps names. Not in a transaction, which could not go on where the
    /// session turns out to have forgotten the name.
    /// \throws statement_failure
    [[nodiscard]] result run(PGconn* on, std::string const& text, binary_parameters const& parameters,
                             std::chrono::steady_clock::time_point deadline);

private:
    [[nodiscard]] std::string const& name_of(PGconn* on, std::string const& text,
                                             std::chrono::steady_clock::time_point deadline);

    bool keeps_names_ = false;
    std::map<std::string, std::string> names_;
};

}  // namespace idempo::postgres
