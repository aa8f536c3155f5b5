// SPDX-License-Identifier: MIT
#pragma once

#include "support/postgres_server.hpp"

#include <idempo/postgres/connection/libpq_connect.hpp>
#include <idempo/postgres/connection/statement_io.hpp>

#include <atomic>
#include <chrono>
#include <string>

namespace idempo::tests {

inline std::chrono::steady_clock::time_point soon() {
    return std::chrono::steady_clock::now() + std::chrono::seconds{30};
}

/// A session of a server that all of them share.
struct postgres_session {
    static postgres::libpq_connection connect() {
        static postgres_server const server;
        std::atomic<bool> stop{false};
        std::string why;
        return postgres::connector(server.connection(), std::chrono::seconds{10}).connect(stop, why);
    }

    /// The first field of the answer; empty where there is none.
    std::string ask(std::string const& sql) {
        auto const outcome = postgres::run_script(connection.get(), sql, soon());
        auto const& first = outcome.results.at(0);
        return first.has_rows() ? std::string(first.bytes(0, 0)) : std::string();
    }

    postgres::libpq_connection connection = connect();
};

}  // namespace idempo::tests
