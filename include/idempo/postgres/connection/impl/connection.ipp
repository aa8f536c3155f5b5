#pragma once

#include <idempo/postgres/connection/connection.hpp>

#include <idempo/postgres/connection/sqlstate.hpp>

#include <pqxx/except>
#include <pqxx/nontransaction>
#include <pqxx/transaction>

#include <sys/socket.h>

#include <utility>

namespace idempo::postgres {

statement_failure::statement_failure(std::string code, bool is_lost)
    : std::runtime_error("postgres: statement failed " + code),
      sqlstate(std::move(code)),
      connection_lost(is_lost) {}

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

connection::connection(libpq_connection made, socket_guard& guard)
    : guard_(guard),
      connection_(adopt(std::move(made))) {
    guard_.watch(connection_->sock());
}

connection::~connection() { guard_.release(); }

pqxx::result connection::execute(std::string const& text, binary_parameters const& parameters) {
    auto const failed = [this](std::string code) {
        bool const is_lost = code.empty() || sqlstate::ends_connection(code) || !connection_->is_open();
        return statement_failure(std::move(code), is_lost);
    };
    try {
        if (states_isolation_) return execute_in_transaction(text, parameters);
        pqxx::nontransaction autocommit(*connection_);
        return postgres::execute(autocommit, text, parameters);
    } catch (pqxx::serialization_failure const&) {  // in libpqxx 6 neither this nor the next is an sql_error
        // Read committed knows no such failure: the server's default is stricter, and has to be overruled.
        states_isolation_ = true;
        throw failed(std::string(sqlstate::serialization_failure));
    } catch (pqxx::deadlock_detected const&) {
        throw failed(std::string(sqlstate::deadlock_detected));
    } catch (pqxx::sql_error const& error) {
        throw failed(std::string(error.sqlstate()));  // a view in libpqxx 8
    } catch (pqxx::failure const&) {
        throw failed({});
    }
}

// By a statement of its own, since libpqxx takes read committed for everybody's default and leaves it out.
pqxx::result connection::execute_in_transaction(std::string const& text, binary_parameters const& parameters) {
    pqxx::work transaction(*connection_);
    transaction.exec("SET TRANSACTION ISOLATION LEVEL READ COMMITTED");
    auto result = postgres::execute(transaction, text, parameters);
    transaction.commit();
    return result;
}

}  // namespace idempo::postgres
