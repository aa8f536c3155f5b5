// SPDX-License-Identifier: MIT
#pragma once

#include <pqxx/result>
#include <pqxx/transaction_base>
#include <pqxx/version>
#if PQXX_VERSION_MAJOR >= 7
#include <pqxx/params>
#endif

#include <string>

/// Carries out a statement with parameters, with each libpqxx from 6.4 to 8. Code that needs only one of them calls
/// `within.exec(text, pqxx::params{values...})` from libpqxx 7.10 on, and before that `within.exec_params(text,
/// values...)`.
template <class Transaction, class... Values>
pqxx::result execute_sql(Transaction& within, std::string const& text, Values const&... values) {
#if PQXX_VERSION_MAJOR < 7
    return within.exec_params(text, values...);
#else
    if constexpr (requires { within.exec(text, pqxx::params{values...}); }) {
        return within.exec(text, pqxx::params{values...});
    } else {
        return within.exec_params(text, values...);
    }
#endif
}
