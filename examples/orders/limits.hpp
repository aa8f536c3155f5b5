#pragma once

#include <chrono>
#include <cstddef>

/// What the service allows, and how long it waits.
namespace limits {

/// Of a request. An order is small.
inline constexpr std::size_t body = std::size_t{64} << 10;
/// Of what was read and is not yet parsed: more than a head may have.
inline constexpr std::size_t buffer = std::size_t{64} << 10;
inline constexpr std::size_t connections = 4096;
/// Pages that watch the ledger.
inline constexpr std::size_t watchers = 64;
/// The most that `GET /orders?limit=` gives.
inline constexpr int listed_orders = 1000;

/// From the end of one request to the end of the next.
inline constexpr std::chrono::seconds read_time{60};
inline constexpr std::chrono::seconds write_time{30};
/// How long a refused client may go on sending, so that the refusal reaches it and not the reset of a connection that
/// was closed with bytes unread.
inline constexpr std::chrono::seconds linger_time{2};
/// How long what is under way may take when the server is told to stop.
inline constexpr std::chrono::seconds drain_time{10};

/// Connections to PostgreSQL, each with a thread.
inline constexpr std::size_t database_connections = 8;
/// Questions to PostgreSQL that may wait or run at once; one more is a 503.
inline constexpr std::size_t database_questions = 1000;
/// For one question, waiting for a thread included.
inline constexpr std::chrono::seconds database_time{3};

}  // namespace limits
