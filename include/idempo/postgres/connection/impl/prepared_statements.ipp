// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/connection/prepared_statements.hpp>

#include <idempo/postgres/connection/sqlstate.hpp>
#include <idempo/postgres/connection/statement_io.hpp>
#include <idempo/postgres/connection/statement_name.hpp>

#include <cstddef>
#include <utility>

namespace idempo::postgres {

namespace {

using std::chrono::steady_clock;

/// There are some twenty statements. More than so many are not kept in the server's memory.
constexpr std::size_t max_names = 64;

constexpr int first_with_plan_cache_mode = 120000;  // https://www.postgresql.org/docs/12/release-12.html, E.24.3.1.4

std::string settings_for(int server_version, int process_number) {
    std::string text = "SELECT pg_catalog.set_config('jit', 'off', false)";
    if (server_version >= first_with_plan_cache_mode) {
        text += ", pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', false), "
                "pg_catalog.set_config('enable_seqscan', 'off', false)";
    }
    return text + " WHERE pg_catalog.pg_backend_pid() OPERATOR(pg_catalog.=) " + std::to_string(process_number) +
           "::pg_catalog.int4";
}

}  // namespace

void prepared_statements::set_up(PGconn* on, int process_number, steady_clock::time_point deadline) {
    auto const version = PQserverVersion(on);
    // A server without a compiler may refuse.
    auto const outcome = run_script(on, settings_for(version, process_number), deadline);
    bool const is_own = outcome.has_succeeded() && !outcome.results.empty() && outcome.results.front().has_rows();
    keeps_names_ = is_own && version >= first_with_plan_cache_mode;
}

result prepared_statements::run(PGconn* on, std::string const& text, binary_parameters const& parameters,
                                steady_clock::time_point deadline) {
    if (!keeps_names_ || (names_.size() >= max_names && !names_.contains(text))) {
        return run_statement(on, text, parameters, deadline);
    }
    try {
        return run_prepared(on, name_of(on, text, deadline), parameters, deadline);
    } catch (statement_failure const& failed) {
        if (!sqlstate::is_about_names(failed.sqlstate)) throw;
    }
    // The session is others', too, after all.
    keeps_names_ = false;
    return run_statement(on, text, parameters, deadline);
}

std::string const& prepared_statements::name_of(PGconn* on, std::string const& text,
                                                steady_clock::time_point deadline) {
    auto const known = names_.find(text);
    if (known != names_.end()) return known->second;
    auto name = statement_name(text);
    prepare_statement(on, name, text, deadline);
    return names_.emplace(text, std::move(name)).first->second;
}

}  // namespace idempo::postgres
