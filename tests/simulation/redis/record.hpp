// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// \file
/// A record in Redis as its scripts see it, written from the description in `idempo/redis/operations/record.hpp` and
/// not with the library's own code.

namespace idempo::simulation {

struct redis_record {
    static constexpr std::size_t header_size = 84;

    /// "open", "done" or "park".
    std::string state;
    std::string token;
    std::string fingerprint;
    std::uint32_t attempt = 0;
    std::int64_t lease = 0;
    std::int64_t life = 0;
    /// What is behind the header; empty where a large record's answer is elsewhere.
    std::string body;

    [[nodiscard]] bool is_done() const { return state == "done"; }
    [[nodiscard]] bool is_parked() const { return state == "park"; }
    /// Of a record that is not completed.
    [[nodiscard]] std::string_view reason() const;
    [[nodiscard]] std::string_view steps() const;
    [[nodiscard]] std::string as_value() const;
};

/// The header alone. \pre it is one of ours
[[nodiscard]] redis_record read_redis_header(std::string_view header);

/// Nothing where it is none of ours, or damaged.
/// \param size of header and answer together
[[nodiscard]] std::optional<redis_record> read_redis_record(std::string_view value, std::size_t size);

}  // namespace idempo::simulation
