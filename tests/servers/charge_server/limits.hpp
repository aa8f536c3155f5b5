// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/http/answer_and_close.hpp>

#include <chrono>
#include <cstddef>

/// The limits of a client.
namespace limits {

/// More than `idempo::options::max_request_body`, so that a keyed request meets the middleware's own 413.
inline constexpr std::size_t body = std::size_t{8} << 20;
/// Of what was read and is not yet parsed. More than a head may have, and the bound of a trailer.
inline constexpr std::size_t buffer = std::size_t{64} << 10;
/// From the end of one request to the end of the next. More than the 60 s after which common balancers (AWS ALB, nginx)
/// give an idle connection up: the side that closes first must be theirs, or they send a request into a closed one.
inline constexpr std::chrono::seconds read_time{75};
inline constexpr std::chrono::seconds write_time{60};
/// How long and how much a refused client may go on sending, so that the refusal reaches it and not the reset of a
/// connection that was closed with bytes unread.
inline constexpr idempo::linger_limits linger{.time = std::chrono::seconds(2)};
/// The same where the server has no place for the connection: it is not counted, so it may cost little.
inline constexpr idempo::linger_limits short_linger{.time = std::chrono::milliseconds(500), .bytes = 64 << 10};
/// How long what is under way may take when the server is told to stop.
inline constexpr std::chrono::seconds drain_time{10};

}  // namespace limits
