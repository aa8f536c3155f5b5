// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

/// \file
/// What PostgreSQL's error codes mean to us. https://www.postgresql.org/docs/current/errcodes-appendix.html

namespace idempo::postgres::sqlstate {

inline constexpr std::string_view serialization_failure = "40001";
inline constexpr std::string_view deadlock_detected = "40P01";
inline constexpr std::string_view read_only_transaction = "25006";
inline constexpr std::string_view disk_full = "53100";
inline constexpr std::string_view division_by_zero = "22012";
inline constexpr std::string_view in_failed_transaction = "25P02";
inline constexpr std::string_view no_active_transaction = "25P01";
inline constexpr std::string_view no_such_savepoint = "3B001";
inline constexpr std::string_view unknown_prepared_statement = "26000";
inline constexpr std::string_view duplicate_prepared_statement = "42P05";

/// Whether the connection is gone, or of no more use: its server shuts down, cannot be reached, or cannot write.
[[nodiscard]] inline bool ends_connection(std::string_view code) {
    constexpr std::array<std::string_view, 4> codes{"57P01", "57P02", "57P03", read_only_transaction};
    return code.starts_with("08") || std::ranges::find(codes, code) != codes.end();
}

/// Whether a session does not know a prepared statement's name, or knows another by it. Nothing has been carried out.
[[nodiscard]] inline bool is_about_names(std::string_view code) {
    return code == unknown_prepared_statement || code == duplicate_prepared_statement;
}

/// Whether a savepoint is gone with its transaction, which somebody has ended.
[[nodiscard]] inline bool is_about_end(std::string_view code) {
    return code == no_active_transaction || code == no_such_savepoint;
}

/// Whether the same statement may succeed when it is carried out again.
[[nodiscard]] inline bool is_transient(std::string_view code) {
    return code == serialization_failure || code == deadlock_detected;
}

/// Whether the server is the reason, and not what it was asked: connection, resources, an operator, the system, or a
/// bug of its own.
[[nodiscard]] inline bool is_servers_fault(std::string_view code) {
    constexpr std::array<std::string_view, 5> classes{"08", "53", "57", "58", "XX"};
    return code == read_only_transaction ||
           std::ranges::any_of(classes, [code](auto const each) { return code.starts_with(each); });
}

}  // namespace idempo::postgres::sqlstate
