// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/connection/statement_io.hpp>

#include <idempo/postgres/connection/sqlstate.hpp>

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

namespace idempo::postgres {

namespace {

using std::chrono::steady_clock;

constexpr bool is_late = true;

[[noreturn]] void throw_lost(bool late = false) { throw statement_failure({}, true, late); }

/// Returns when the socket is ready for one of the events. \throws statement_failure at the deadline
void await(PGconn* on, short events, steady_clock::time_point deadline) {
    while (true) {
        auto const left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_clock::now());
        if (left.count() <= 0) throw_lost(is_late);
        pollfd waiting{PQsocket(on), events, 0};
        if (waiting.fd < 0) throw_lost();
        constexpr std::chrono::milliseconds longest{60'000};
        auto const ready = ::poll(&waiting, 1, static_cast<int>(std::min(left, longest).count()));
        if (ready > 0) return;
        if (ready < 0 && errno != EINTR) throw_lost();
    }
}

/// libpq does not block while one of these lives. libpqxx expects it to block.
class non_blocking {
public:
    explicit non_blocking(PGconn* on) : on_(on) {
        if (PQsetnonblocking(on_, 1) != 0) throw_lost();
    }
    non_blocking(non_blocking const&) = delete;
    non_blocking& operator=(non_blocking const&) = delete;
    ~non_blocking() { PQsetnonblocking(on_, 0); }

private:
    PGconn* on_;
};

void flush(PGconn* on, steady_clock::time_point deadline) {
    while (true) {
        auto const left = PQflush(on);
        if (left == 0) return;
        if (left < 0) throw_lost();
        await(on, POLLIN | POLLOUT, deadline);
        // The server may not read before we have read what it says.
        if (PQconsumeInput(on) == 0) throw_lost();
    }
}

std::unique_ptr<PGresult, clear_result> next_result(PGconn* on, steady_clock::time_point deadline) {
    while (PQisBusy(on) != 0) {
        await(on, POLLIN, deadline);
        if (PQconsumeInput(on) == 0) throw_lost();
    }
    return std::unique_ptr<PGresult, clear_result>(PQgetResult(on));
}

std::string sqlstate_of(PGresult const* failed) {
    auto const* const code = PQresultErrorField(failed, PG_DIAG_SQLSTATE);
    return code != nullptr ? code : "";
}

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

bool has_been_closed(PGconn* idle) noexcept {
    char byte = 0;
    auto const read = ::recv(PQsocket(idle), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (read == 0) return true;
    return read < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR;
}

}  // namespace idempo::postgres
