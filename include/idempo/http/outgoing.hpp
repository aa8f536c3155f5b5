// SPDX-License-Identifier: MIT
#pragma once

#include <boost/beast/http/message_generator.hpp>

#include <chrono>

/// \file
/// Fields that only the session can know, for an answer whose type is erased already. Each function copies the head of
/// the answer and not its body; a head of more than 64 KiB stays as it is.

namespace idempo {

namespace http = boost::beast::http;

/// Adds `Date`, which an origin server with a clock must send (RFC 9110, section 6.6.1). It replaces a `Date` of the
/// handler's. Replays never hold the one of the first answer, so it is right for them, too.
[[nodiscard]] http::message_generator with_date(http::message_generator message,
                                                std::chrono::system_clock::time_point now);
[[nodiscard]] http::message_generator with_date(http::message_generator message);

/// Says `Connection: close`, for the last answer before a server that stops closes the connection (RFC 9112, section
/// 9.6). `keep_alive()` of the result is false.
[[nodiscard]] http::message_generator with_connection_close(http::message_generator message);

}  // namespace idempo
