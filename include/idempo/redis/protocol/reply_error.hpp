// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>

#include <string_view>

namespace idempo::redis {

/// What an error reply of Redis means for the operation that it answers, and for the connection.
enum class error_meaning {
    /// NOSCRIPT: the script must be sent along.
    script_unknown,
    /// OOM: the server is full.
    full,
    /// WRONGTYPE: what is under the key was not written by us.
    foreign_value,
    /// A server, a user or a state of it that this connection is no use with (READONLY, LOADING, NOAUTH …).
    wrong_server,
    /// Any other: it says nothing of the record.
    unavailable,
};

/// \param text of the error reply; `error_meaning` depends on its first word. Scripts of Redis 6.2 wrap the error of
/// the command that failed in one of their own.
[[nodiscard]] error_meaning meaning_of(std::string_view text) noexcept;

/// What the operation reports.
[[nodiscard]] error_code code_of(error_meaning meaning) noexcept;

}  // namespace idempo::redis
