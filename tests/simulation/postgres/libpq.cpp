// SPDX-License-Identifier: MIT
#include "simulation/postgres/network.hpp"

#include <idempo/postgres/connection/libpq_connect.hpp>
#include <idempo/postgres/connection/libpq_socket.hpp>
#include <idempo/postgres/connection/libpq_wait.hpp>
#include <idempo/postgres/connection/statement_io.hpp>

#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>

#include <poll.h>

/// \file
/// What stands for libpq, for `libpq_connect.ipp` and for `libpq_socket.ipp`.

using idempo::simulation::postgres_message;

// NOLINTBEGIN(readability-identifier-naming): the names are libpq's.
extern "C" {

/// The store asks only whether libpq understands the connection string.
PQconninfoOption* PQconninfoParse(char const*, char**) {
    static PQconninfoOption nothing{};
    return &nothing;
}

void PQconninfoFree(PQconninfoOption*) {}

void PQfinish(PGconn* of) {
    of->socket->close();
    delete of;
}

/// Nobody uses it but to shut it down at the end of the process, when the network ends by itself.
int PQsocket(PGconn const*) { return -1; }

int PQserverVersion(PGconn const*) { return 150'000; }

ConnStatusType PQstatus(PGconn const* of) {
    bool const is_lost = of->socket->is_closed() && !of->socket->has_arrived() && of->results.empty();
    return is_lost ? CONNECTION_BAD : CONNECTION_OK;
}

int PQsetnonblocking(PGconn*, int) { return 0; }

int PQflush(PGconn*) { return 0; }

int PQsendQuery(PGconn* on, char const* text) {
    if (PQstatus(on) != CONNECTION_OK || on->expects_more) return 0;
    on->expects_more = true;
    on->socket->send({text, {}, true});
    return 1;
}

int PQsendQueryParams(PGconn* on, char const* text, int count, Oid const*, char const* const* values,
                      int const* lengths, int const*, int) {
    if (PQstatus(on) != CONNECTION_OK || on->expects_more) return 0;
    on->expects_more = true;
    postgres_message message{text};
    for (std::ptrdiff_t i = 0; i < count; ++i)
        message.parameters.emplace_back(values[i], static_cast<std::size_t>(lengths[i]));
    on->socket->send(std::move(message));
    return 1;
}

/// The server is behind a pooler: nobody who asks it is told that the session is his own.
int PQsendPrepare(PGconn*, char const*, char const*, int, Oid const*) {
    throw std::logic_error("a statement is prepared behind a pooler");
}

int PQsendQueryPrepared(PGconn*, char const*, int, char const* const*, int const*, int const*, int) {
    throw std::logic_error("a prepared statement is asked for behind a pooler");
}

int PQconsumeInput(PGconn* on) {
    if (on->socket->has_arrived()) {
        auto const answer = on->socket->take();
        for (auto const& each : answer.parts) on->results.push_back({each, answer.is_binary});
        if (answer.is_whole) on->expects_more = false;
        return 1;
    }
    return on->socket->is_closed() ? 0 : 1;
}

int PQisBusy(PGconn* on) { return on->results.empty() && on->expects_more ? 1 : 0; }

PGresult* PQgetResult(PGconn* on) {
    if (on->results.empty()) return nullptr;
    auto* const next = new pg_result(std::move(on->results.front()));
    on->results.pop_front();
    return next;
}

void PQclear(PGresult* of) { delete of; }

ExecStatusType PQresultStatus(PGresult const* of) {
    if (of == nullptr || !of->of.sqlstate.empty()) return PGRES_FATAL_ERROR;
    return of->of.is_table ? PGRES_TUPLES_OK : PGRES_COMMAND_OK;
}

char* PQresultErrorField(PGresult const* of, int field) {
    bool const is_named = of != nullptr && field == PG_DIAG_SQLSTATE && !of->of.sqlstate.empty();
    return is_named ? const_cast<char*>(of->of.sqlstate.c_str()) : nullptr;
}

char* PQcmdStatus(PGresult* of) { return of->of.tag.data(); }

int PQntuples(PGresult const* of) { return of == nullptr ? 0 : static_cast<int>(of->of.rows.size()); }

int PQgetisnull(PGresult const* of, int row, int column) {
    return of->of.rows.at(static_cast<std::size_t>(row)).at(static_cast<std::size_t>(column)) ? 0 : 1;
}

char* PQgetvalue(PGresult const* of, int row, int column) {
    auto const& field = of->of.rows.at(static_cast<std::size_t>(row)).at(static_cast<std::size_t>(column));
    static char nothing = '\0';
    return field ? const_cast<char*>(field->data()) : &nothing;
}

int PQgetlength(PGresult const* of, int row, int column) {
    auto const& field = of->of.rows.at(static_cast<std::size_t>(row)).at(static_cast<std::size_t>(column));
    return field ? static_cast<int>(field->size()) : 0;
}

int PQfformat(PGresult const* of, int) { return of->is_binary ? 1 : 0; }

}  // extern "C"
// NOLINTEND(readability-identifier-naming)

namespace idempo::postgres {

void await(PGconn* on, short events, std::chrono::steady_clock::time_point deadline) {
    if ((events & POLLOUT) != 0) return;
    constexpr bool is_late = true;
    if (!on->socket->wait(deadline)) throw statement_failure({}, true, is_late);
}

bool has_been_closed(PGconn* idle) noexcept { return idle->socket->is_closed() && !idle->socket->has_arrived(); }

server_process process_of(PGconn* connection) { return {"simulated", "5432", connection->server_process}; }

connector::connector(std::string connection_string, std::chrono::milliseconds share)
    : connection_string_(std::move(connection_string)),
      share_(share) {}

libpq_connection connector::connect(std::atomic<bool> const& stop, std::string& why) {
    return libpq_connection(simulation::postgres_network::of_running().connect(share_, stop, why));
}

}  // namespace idempo::postgres
