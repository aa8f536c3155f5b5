// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/options.hpp>

#include <idempo/stores/url_scheme.hpp>

#include <libpq-fe.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace idempo {

namespace {

[[noreturn]] void refuse(std::string const& sentence) { throw std::invalid_argument("postgres: " + sentence); }

/// Reads the parameter where it is ours; libpq is given only the others.
bool read_parameter(std::string_view parameter, postgres_options& options) {
    auto const equals = std::min(parameter.find('='), parameter.size());
    auto const name = parameter.substr(0, equals);
    auto const value = parameter.substr(std::min(equals + 1, parameter.size()));
    if (name == "schema" || name == "table") {
        if (value.find('%') != std::string_view::npos) refuse("schema and table in a URL are written without '%'");
        (name == "schema" ? options.schema : options.table) = value;
        return true;
    }
    if (name != "workers") return false;
    auto const [end, error] = std::from_chars(value.data(), value.data() + value.size(), options.workers);
    if (error != std::errc{} || end != value.data() + value.size()) refuse("workers must be a whole number");
    return true;
}

bool libpq_understands(std::string const& connection) {
    std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> const parsed(
        PQconninfoParse(connection.c_str(), nullptr), PQconninfoFree);
    return parsed != nullptr;
}

/// What PostgreSQL would cut off without a word, and names that no statement can hold.
void validate_name(std::string_view what, std::string_view name) {
    constexpr std::size_t longest = 63;
    if (name.empty() || name.size() > longest || name.find('\0') != std::string_view::npos) {
        refuse("the " + std::string(what) + " must have 1 to 63 bytes, and no zero among them");
    }
}

}  // namespace

std::string_view to_string(postgres_problem problem) noexcept {
    switch (problem) {
    case postgres_problem::none: return "PostgreSQL is ready.";
    case postgres_problem::unreachable: return "PostgreSQL cannot be reached.";
    case postgres_problem::lost: return "The connection to PostgreSQL is lost.";
    case postgres_problem::read_only: return "PostgreSQL is read-only.";
    case postgres_problem::statement_failed: return "A statement failed.";
    case postgres_problem::busy: return "PostgreSQL has not finished what was asked of it.";
    case postgres_problem::transaction_ended: return "A handler has ended its transaction.";
    }
    return "Unknown.";
}

postgres_options parse_postgres_url(std::string_view url, postgres_options others) {
    auto options = std::move(others);
    auto const scheme = url_scheme(url);
    if (scheme != "postgresql" && scheme != "postgres") refuse("the URL begins with postgresql: or postgres:");
    auto const question = std::min(url.find('?'), url.size());
    auto const authority = url.substr(scheme.size() + 1, question - scheme.size() - 1);
    if (!authority.empty() && !authority.starts_with("//")) refuse("the URL begins with postgresql://");
    options.connection = scheme + ":" + (authority.empty() ? "//" : std::string(authority));
    auto rest = url.substr(std::min(question + 1, url.size()));
    char separator = '?';
    while (!rest.empty()) {
        auto const end = std::min(rest.find('&'), rest.size());
        auto const parameter = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (read_parameter(parameter, options)) continue;
        (options.connection += std::exchange(separator, '&')) += parameter;
    }
    validate(options);
    return options;
}

void validate(postgres_options const& options) {
    constexpr std::size_t max_workers = 64;
    if (!libpq_understands(options.connection)) refuse("libpq does not understand the connection string");
    validate_name("schema", options.schema);
    validate_name("table", options.table);
    if (options.workers == 0 || options.workers > max_workers) refuse("workers must be 1 to 64");
    if (options.max_pending == 0 || options.max_pending_bytes == 0) {
        refuse("max_pending and max_pending_bytes must be positive");
    }
    using std::chrono::milliseconds;
    if (options.sweep_interval < milliseconds::zero() || options.sweep_interval > std::chrono::hours{24}) {
        refuse("sweep_interval must not be negative, and a day at most");
    }
    for (auto const span : {options.connect_timeout, options.operation_timeout}) {
        if (span <= milliseconds::zero() || span > std::chrono::hours{1}) {
            refuse("connect_timeout and operation_timeout must be positive, and an hour at most");
        }
    }
}

}  // namespace idempo
