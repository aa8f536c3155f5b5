// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/version.hpp>

#include <boost/system/error_category.hpp>
#include <boost/system/error_code.hpp>

#include <type_traits>

namespace idempo {

using boost::system::error_code;

/// What can go wrong below a handler. Stores report these (or any other code) through `error_code`.
enum class error {
    /// The store cannot be reached, or answered with an error that says nothing of the record.
    store_unavailable = 1,
    /// The store has no room. Nothing was written, and no unexpired record was evicted for it.
    store_full,
    /// The store did not answer within the operation's deadline; the operation may still be executed.
    store_timed_out,
    /// The stored bytes are not a record that this version can read.
    record_unreadable,
    /// A chunked trailer named a field that decides about identity or about the key.
    trailer_refused,
    /// `Transfer-Encoding` in an HTTP/1.0 request, one that does not end with chunked, or chunked with parameters (RFC
    /// 9112, sections 6.1, 6.3 and 7.1).
    framing_refused,
    /// `Host` is missing in HTTP/1.1, repeated or malformed (RFC 9112, section 3.2).
    host_refused,
    /// The request target has none of the four forms, or an absolute one names no host or a user (RFC 9112,
    /// section 3.2;
    /// RFC 9110, sections 4.2.1 and 4.2.4).
    target_refused,
    /// A transfer coding other than chunked (RFC 9112, section 6.1).
    coding_unsupported,
};

/// The category of `error`; its name is "idempo".
[[nodiscard]] boost::system::error_category const& error_category() noexcept;

[[nodiscard]] inline error_code make_error_code(error value) noexcept {
    return {static_cast<int>(value), error_category()};
}

}  // namespace idempo

template <>
struct boost::system::is_error_code_enum<idempo::error> : std::true_type {};
