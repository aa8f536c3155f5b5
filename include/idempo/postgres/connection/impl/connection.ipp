// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/connection/connection.hpp>

#include <idempo/postgres/connection/late_processes.hpp>
#include <idempo/postgres/connection/libpq_socket.hpp>
#include <idempo/postgres/connection/sqlstate.hpp>

#include <sys/socket.h>

#include <string>
#include <utility>

namespace idempo::postgres {

namespace {

/// Firewalls forget connections that have been idle for longer, some for much longer.
constexpr std::chrono::seconds long_idle{2};

}  // namespace

void socket_guard::watch(int socket) {
    std::lock_guard const lock(mutex_);
    socket_ = socket;
}

void socket_guard::release() {
    std::lock_guard const lock(mutex_);
    socket_.reset();
}

void socket_guard::shut_down() {
    std::lock_guard const lock(mutex_);
    if (socket_) ::shutdown(*socket_, SHUT_RDWR);
}

connection::connection(libpq_connection made, socket_guard& guard, std::chrono::milliseconds timeout)
    : guard_(guard),
      connection_(std::move(made)),
      timeout_(timeout),
      process_(process_of(connection_.get())),
      last_used_(std::chrono::steady_clock::now()) {
    guard_.watch(PQsocket(connection_.get()));
}

connection::~connection() { guard_.release(); }

bool connection::reads_pages() const noexcept {
    constexpr int first_version = 140000;  // https://www.postgresql.org/docs/14/release-14.html, E.23.3.1.3
    return PQserverVersion(connection_.get()) >= first_version;
}

std::chrono::steady_clock::time_point connection::deadline() const {
    return std::chrono::steady_clock::now() + timeout_;
}

result connection::execute(std::string const& text, binary_parameters const& parameters) {
    try {
        auto answer = states_isolation_ ? execute_in_transaction(text, parameters)
                                        : prepared_.run(connection_.get(), text, parameters, deadline());
        last_used_ = std::chrono::steady_clock::now();
        return answer;
    } catch (statement_failure const& failed) {
        // Read committed knows no such failure: the server's default is stricter, and has to be overruled.
        if (failed.sqlstate == sqlstate::serialization_failure) states_isolation_ = true;
        throw;
    }
}

result connection::execute_in_transaction(std::string const& text, binary_parameters const& parameters) {
    // A server that does not learn that its client is gone would wait for COMMIT, and hold the rows, until TCP gives
    // up.
    run("BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = " +
        std::to_string(timeout_.count()));
    try {
        auto answer = run_statement(connection_.get(), text, parameters, deadline());
        run("COMMIT");
        return answer;
    } catch (statement_failure const& failed) {
        if (!failed.connection_lost) run("ROLLBACK");
        throw;
    }
}

void connection::run(std::string const& script) {
    auto const outcome = run_script(connection_.get(), script, deadline());
    if (!outcome.has_succeeded()) {
        throw statement_failure(outcome.sqlstate, sqlstate::ends_connection(outcome.sqlstate));
    }
}

void connection::set_up() { prepared_.set_up(connection_.get(), process_.number, deadline()); }

void connection::forget_ended(std::vector<server_process>& late) {
    postgres::forget_ended(late, connection_.get(), deadline());
}

bool connection::is_alive() {
    if (has_been_closed(connection_.get())) return false;
    auto const now = std::chrono::steady_clock::now();
    if (now - last_used_ < long_idle) return true;
    try {
        constexpr auto nothing = "";
        static_cast<void>(run_script(connection_.get(), nothing, now + timeout_ / 4));
        return true;
    } catch (statement_failure const&) {
        return false;
    }
}

}  // namespace idempo::postgres
