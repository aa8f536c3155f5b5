// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/connection/statement_io.hpp>

#include <idempo/postgres/connection/libpq_wait.hpp>
#include <idempo/postgres/connection/sqlstate.hpp>

#include <utility>

namespace idempo::postgres {

namespace {

using std::chrono::steady_clock;

/// Reads the answer to one message.
script_outcome read_results(PGconn* on, steady_clock::time_point deadline) {
    script_outcome outcome;
    while (auto each = next_result(on, deadline)) {
        switch (PQresultStatus(each.get())) {
        case PGRES_COMMAND_OK:
        case PGRES_TUPLES_OK:
        case PGRES_EMPTY_QUERY: outcome.results.emplace_back(each.release()); break;
        default:
            if (outcome.sqlstate.empty()) outcome.sqlstate = sqlstate_of(each.get());
            if (outcome.sqlstate.empty()) throw_lost();
        }
    }
    if (PQstatus(on) != CONNECTION_OK) throw statement_failure(outcome.sqlstate, true);
    return outcome;
}

}  // namespace

statement_failure::statement_failure(std::string code, bool is_lost, bool late)
    : std::runtime_error("postgres: statement failed " + code),
      sqlstate(std::move(code)),
      connection_lost(is_lost),
      timed_out(late) {}

script_outcome run_script(PGconn* on, std::string const& statements, steady_clock::time_point deadline) {
    non_blocking const while_waiting(on);
    if (PQsendQuery(on, statements.c_str()) == 0) throw_lost();
    flush(on, deadline);
    return read_results(on, deadline);
}

result run_statement(PGconn* on, std::string const& text, binary_parameters const& parameters,
                     steady_clock::time_point deadline) {
    auto const& given = parameters.values();
    std::vector<char const*> values;
    std::vector<int> lengths;
    std::vector<int> const formats(given.size(), 1);
    for (auto const& each : given) {
        values.push_back(each.data());
        lengths.push_back(static_cast<int>(each.size()));
    }
    non_blocking const while_waiting(on);
    if (PQsendQueryParams(on, text.c_str(), static_cast<int>(given.size()), nullptr, values.data(), lengths.data(),
                          formats.data(), 1) == 0) {
        throw_lost();
    }
    flush(on, deadline);
    auto outcome = read_results(on, deadline);
    if (!outcome.has_succeeded()) {
        bool const is_lost = sqlstate::ends_connection(outcome.sqlstate);
        throw statement_failure(std::move(outcome.sqlstate), is_lost);
    }
    return outcome.results.empty() ? result() : std::move(outcome.results.front());
}

}  // namespace idempo::postgres
