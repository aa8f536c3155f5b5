// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/connection/late_processes.hpp>

#include <idempo/postgres/connection/statement_io.hpp>

#include <algorithm>
#include <cstddef>
#include <string>

namespace idempo::postgres {

void forget_ended(std::vector<server_process>& late, PGconn* on, std::chrono::steady_clock::time_point deadline) {
    auto const here = process_of(on);
    std::erase_if(late, [&](server_process const& each) { return !each.is_beside(here); });
    if (late.empty()) return;
    std::string numbers;
    for (auto const& each : late) (numbers += numbers.empty() ? "" : ", ") += std::to_string(each.number);
    // An idle one may be behind a firewall that has forgotten the connection: the server's keepalives end it.
    auto const outcome = run_script(on,
                                    "SELECT pid FROM pg_catalog.pg_stat_activity WHERE pid OPERATOR(pg_catalog.=) ANY "
                                    "('{" +
                                        numbers +
                                        "}'::pg_catalog.int4[]) AND usename OPERATOR(pg_catalog.=) CURRENT_USER AND "
                                        "state OPERATOR(pg_catalog.<>) 'idle'",
                                    deadline);
    if (!outcome.has_succeeded()) throw statement_failure(outcome.sqlstate, false);
    auto const& alive = outcome.results.at(0);
    std::erase_if(late, [&](server_process const& each) {
        for (std::size_t row = 0; row < alive.size(); ++row) {
            if (alive.number(row, 0) == each.number) return false;
        }
        return true;
    });
}

}  // namespace idempo::postgres
