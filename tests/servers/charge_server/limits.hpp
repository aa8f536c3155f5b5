#pragma once

#include <chrono>
#include <cstddef>

/// The limits of a client.
namespace limits {

/// More than `idempo::options::max_request_body`, so that a keyed request meets the middleware's own 413.
inline constexpr std::size_t body = std::size_t{8} << 20;
/// Of what was read and is not yet parsed. More than a head may have, and the bound of a trailer.
inline constexpr std::size_t buffer = std::size_t{64} << 10;
/// From the end of one request to the end of the next.
inline constexpr std::chrono::seconds read_time{60};
inline constexpr std::chrono::seconds write_time{60};
/// How long a refused client may go on sending, so that the refusal reaches it and not the reset of a connection
/// that was closed with bytes unread.
inline constexpr std::chrono::seconds linger_time{2};
/// How long requests in progress may take during shutdown.
inline constexpr std::chrono::seconds drain_time{10};

}  // namespace limits
