#pragma once

#include <idempo/postgres/connection/pqxx_versions.hpp>

#if PQXX_VERSION_MAJOR < 7
#include <pqxx/basic_connection.hxx>
#include <pqxx/binarystring>
#include <pqxx/connectionpolicy.hxx>
#include <pqxx/prepared_statement>
#else
#include <pqxx/params>
#endif

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace idempo::postgres {

#if PQXX_VERSION_MAJOR < 7

namespace {

/// Has the connection ready where libpqxx would begin to make one.
class adopting_policy : public pqxx::connectionpolicy {
public:
    explicit adopting_policy(std::string const& options) : connectionpolicy(options) {}

    handle do_startconnect(handle current) override { return current != nullptr ? current : made.release(); }

    // libpqxx makes the policy, from a string, and asks it for the connection before it can be told more.
    static thread_local libpq_connection made;
};

thread_local libpq_connection adopting_policy::made;

}  // namespace

std::shared_ptr<pqxx_connection> adopt(libpq_connection made) {
    adopting_policy::made = std::move(made);
    return std::make_shared<pqxx::basic_connection_base<adopting_policy>>(std::string());
}

pqxx::result execute(pqxx::transaction_base& within, std::string const& text, binary_parameters const& parameters) {
    std::vector<pqxx::binarystring> values;
    values.reserve(parameters.values().size());
    for (auto const& each : parameters.values()) values.emplace_back(each);
    return within.exec_params(text, pqxx::prepare::make_dynamic_params(values));
}

#else

namespace {

#if PQXX_VERSION_MAJOR < 8
using pqxx_bytes = std::basic_string_view<std::byte>;
#else
using pqxx_bytes = std::span<std::byte const>;
#endif

// libpqxx 7.10 deprecates exec_params in favour of an exec that earlier versions do not have. A template, so that only
// one of the two has to compile.
template <class Transaction>
pqxx::result execute_with(Transaction& within, std::string const& text, pqxx::params const& values) {
    if constexpr (requires { within.exec(text, values); }) {
        return within.exec(text, values);
    } else {
        return within.exec_params(text, values);
    }
}

}  // namespace

std::shared_ptr<pqxx_connection> adopt(libpq_connection made) {
    return std::make_shared<pqxx::connection>(pqxx::connection::seize_raw_connection(made.release()));
}

pqxx::result execute(pqxx::transaction_base& within, std::string const& text, binary_parameters const& parameters) {
    pqxx::params values;
    for (auto const& each : parameters.values()) {
        values.append(pqxx_bytes(reinterpret_cast<std::byte const*>(each.data()), each.size()));
    }
    return execute_with(within, text, values);
}

#endif

}  // namespace idempo::postgres
