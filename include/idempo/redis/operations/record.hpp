// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/identifiers.hpp>
#include <idempo/store.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

/// \file
/// The value under a key of ours: a header of 84 bytes, and a body: where the record is completed what Complete was
/// given, before that the steps, and in front of them where it has been parked the reason, with its size in 2 bytes.
/// Numbers are big-endian; the script reads and writes the same with struct.unpack and struct.pack.
///
///     offset size
///          0    4  "idr" and the version of this format, 1
///          4    4  "open" in flight, "done" completed, "park" parked, while its lease has ended
///          8   16  token
///         24   32  fingerprint
///         56    4  attempt; 0 where only steps are left of earlier ones
///         60    8  lease in milliseconds, 0 when completed
///         68    8  life in milliseconds: what the key's time to live was when it was set
///         76    4  size of the body
///         80    4  sum of the 20 words before it, modulo 2^32
///
/// A value of more than 64 KiB and the header is a hash instead, of `header` and `answer`: what finds it with GET gets
/// an error, and not a record that nobody may have asked for. Only what must be replayed is read.
///
/// The sum notices every change of one word, and the size every missing byte. What Complete was given is not summed:
/// it has a checksum of its own (`idempo/stored_response.hpp`), and so has each step. A build that knows no steps
/// cannot read them, nor parked records, and answers 503.

namespace idempo::redis {

inline constexpr std::size_t header_size = 84;

/// Where what Complete was given is larger, the record is a hash.
inline constexpr std::size_t max_plain_bytes = std::size_t{64} * 1024;

/// The longest that Redis is asked to count, some 1,000 years: its scripts' numbers are exact up to 2^53.
inline constexpr std::chrono::milliseconds longest_span{std::chrono::hours{24} * 365 * 1000};

/// `span`, or what is nearest to it between zero and `longest_span`.
[[nodiscard]] std::chrono::milliseconds bounded(std::chrono::milliseconds span) noexcept;

/// The sum of both, but at least 1 ms: Redis refuses a life of zero.
[[nodiscard]] std::chrono::milliseconds life_of(std::chrono::milliseconds lease,
                                                std::chrono::milliseconds retention) noexcept;

/// A decoded record.
struct record {
    bool is_completed = false;
    bool is_parked = false;
    idempo::fencing_token fencing_token;
    idempo::fingerprint fingerprint;
    unsigned attempt = 1;
    std::chrono::milliseconds lease{};
    std::chrono::milliseconds life{};
};

/// The record in flight that a claim writes, as attempt 1.
[[nodiscard]] std::string write_open(claim_request const& request);

/// The completed record that a Complete writes, as attempt 1.
[[nodiscard]] std::string write_done(complete_request const& request);

/// The parked record that a park writes, as attempt 1 without steps.
[[nodiscard]] std::string write_parked(park_request const& request);

/// The completed record of a settle, with nobody's token and fingerprint; empty where there is none.
[[nodiscard]] std::string write_settled(settle_request const& request);

/// Reads the header of a value of `value_size` bytes; nothing where it is none of ours, or damaged.
[[nodiscard]] std::optional<record> read_header(std::string_view header, std::size_t value_size);

/// What Complete was given. \pre the value has a header
[[nodiscard]] inline std::string_view completed_bytes(std::string_view value) { return value.substr(header_size); }

}  // namespace idempo::redis
