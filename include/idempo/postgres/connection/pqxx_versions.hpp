// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/connection/libpq_connect.hpp>

#include <pqxx/connection>
#include <pqxx/subtransaction>
#include <pqxx/version>

#include <memory>
#include <string>

/// \file
/// Where libpqxx 6.4, 7 and 8 differ.

namespace idempo::postgres {

#if PQXX_VERSION_MAJOR < 7
using pqxx_connection = pqxx::connection_base;
/// Whether a subtransaction sends a savepoint of its own, and releases it.
inline constexpr bool sets_savepoints = false;
#else
using pqxx_connection = pqxx::connection;
inline constexpr bool sets_savepoints = true;
#endif

/// Hands a connection that has been made over to libpqxx, which will not connect again when it is lost.
/// Shared, since that remembers how to close it: the destructor of `pqxx::connection_base` is not virtual.
[[nodiscard]] std::shared_ptr<pqxx_connection> adopt(libpq_connection made);

/// What the handler uses, within a transaction that has been begun without libpqxx and will be ended without it.
/// libpqxx 6 sends nothing for it; libpqxx 7 and 8 set a savepoint of their own and release it.
class handler_transaction {
public:
    explicit handler_transaction(pqxx_connection& within);
    handler_transaction(handler_transaction const&) = delete;
    handler_transaction& operator=(handler_transaction const&) = delete;
    ~handler_transaction();

    [[nodiscard]] pqxx::subtransaction& rows() noexcept;

    /// After the handler. Returns why its rows cannot be kept, as an SQLSTATE; empty where they can. A statement failed
    /// and was not inside a subtransaction, or the handler aborted the one that it was given:
    /// `in_failed_transaction`. The handler ended the transaction: another one. Empty where the connection is lost,
    /// too: what is sent next finds out.
    [[nodiscard]] std::string close() noexcept;

private:
    class objects;
    std::unique_ptr<objects> objects_;
};

}  // namespace idempo::postgres
