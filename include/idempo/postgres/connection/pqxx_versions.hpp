#pragma once

#include <idempo/postgres/connection/binary_parameters.hpp>
#include <idempo/postgres/connection/libpq_connect.hpp>

#include <pqxx/connection>
#include <pqxx/result>
#include <pqxx/transaction_base>
#include <pqxx/version>

#include <memory>
#include <string>

/// \file
/// Where libpqxx 6.4, 7 and 8 differ.

namespace idempo::postgres {

#if PQXX_VERSION_MAJOR < 7
using pqxx_connection = pqxx::connection_base;
#else
using pqxx_connection = pqxx::connection;
#endif

/// Hands a connection that has been made over to libpqxx, which will not connect again when it is lost.
/// Shared, since that remembers how to close it: the destructor of `pqxx::connection_base` is not virtual.
[[nodiscard]] std::shared_ptr<pqxx_connection> adopt(libpq_connection made);

/// Keep the result as long as its rows and fields: in libpqxx 8 these only refer to it.
/// \throws what libpqxx throws
[[nodiscard]] pqxx::result execute(pqxx::transaction_base& within, std::string const& text,
                                   binary_parameters const& parameters);

}  // namespace idempo::postgres
