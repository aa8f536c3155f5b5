// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/http/answer_and_close.hpp>

#include <chrono>
#include <cstddef>

/// The limits and timeouts of the service.
namespace limits {

/// The body of a request. An order is small.
inline constexpr std::size_t body = std::size_t{64} << 10;
/// Bytes read and not yet parsed: more than the limit of a head.
inline constexpr std::size_t buffer = std::size_t{64} << 10;
inline constexpr std::size_t connections = 4096;
/// Pages that watch the ledger.
inline constexpr std::size_t watchers = 64;
/// Upper limit of `GET /orders?limit=`.
inline constexpr int listed_orders = 1000;

/// From the end of one request to the end of the next: more than the 60 s after which common balancers give an idle
/// connection up, since theirs must be the side that closes first.
inline constexpr std::chrono::seconds read_time{75};
inline constexpr std::chrono::seconds write_time{30};
/// How long and how much a refused client may go on sending, so that the refusal reaches it and not the reset of a
/// connection that was closed with bytes unread.
inline constexpr idempo::linger_limits linger{.time = std::chrono::seconds(2)};
/// How long what is under way may take when the server is told to stop.
inline constexpr std::chrono::seconds drain_time{10};

/// Connections to PostgreSQL, each with a thread.
inline constexpr std::size_t database_connections = 8;
/// Database work that may wait or run at once; one more is a 503.
inline constexpr std::size_t database_questions = 1000;
/// For one piece of work, including the wait for a thread.
inline constexpr std::chrono::seconds database_time{3};

}  // namespace limits
