// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/connection/statement_io.hpp>

#include <idempo/postgres/connection/libpq_wait.hpp>
#include <idempo/postgres/connection/parameter_views.hpp>
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

/// The answer to one statement that has just been sent.
result read_result(PGconn* on, steady_clock::time_point deadline) {
    flush(on, deadline);
    auto outcome = read_results(on, deadline);
    if (!outcome.has_succeeded()) {
        bool const is_lost = sqlstate::ends_connection(outcome.sqlstate);
        throw statement_failure(std::move(outcome.sqlstate), is_lost);
    }
    return outcome.results.empty() ? result() : std::move(outcome.results.front());
}

}  // namespace

statement_failure::statement_failure(std::string code, bool is_lost, bool late)
    : std::runtime_error("postgres: statement failed " + code),
      sqlstate(std::move(code)),
      connection_lost(is_lost),
      timed_out(late) {}

script_outcome run_script(PGconn* on, std::string const& statements, steady_clock::time_point deadline) {
    non_blocking const while_waiting(on);
    lost_unless(PQsendQuery(on, statements.c_str()) == 1);
    flush(on, deadline);
    return read_results(on, deadline);
}

result run_statement(PGconn* on, std::string const& text, binary_parameters const& parameters,
                     steady_clock::time_point deadline) {
    parameter_views const given(parameters);
    non_blocking const while_waiting(on);
    lost_unless(PQsendQueryParams(on, text.c_str(), given.count(), nullptr, given.values.data(), given.lengths.data(),
                                  given.formats.data(), parameter_views::in_binary) == 1);
    return read_result(on, deadline);
}

void prepare_statement(PGconn* on, std::string const& name, std::string const& text,
                       steady_clock::time_point deadline) {
    non_blocking const while_waiting(on);
    lost_unless(PQsendPrepare(on, name.c_str(), text.c_str(), 0, nullptr) == 1);
    static_cast<void>(read_result(on, deadline));
}

result run_prepared(PGconn* on, std::string const& name, binary_parameters const& parameters,
                    steady_clock::time_point deadline) {
    parameter_views const given(parameters);
    non_blocking const while_waiting(on);
    lost_unless(PQsendQueryPrepared(on, name.c_str(), given.count(), given.values.data(), given.lengths.data(),
                                    given.formats.data(), parameter_views::in_binary) == 1);
    return read_result(on, deadline);
}

}  // namespace idempo::postgres
