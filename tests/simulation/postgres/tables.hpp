// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>

/// \file
/// The tables of the library's migrations, as a PostgreSQL server has them: written from its SQL, and not with the
/// library's own code.

namespace idempo::simulation {

/// Microseconds of the server's clock, as a `timestamptz` has them.
using postgres_time = std::int64_t;

inline constexpr postgres_time minus_infinity = std::numeric_limits<postgres_time>::min();

/// Milliseconds, as the statements have them.
[[nodiscard]] constexpr postgres_time later_by(postgres_time at, std::int64_t span) {
    return at == minus_infinity ? at : at + 1000 * span;
}

/// A row of `idempo_records`.
struct postgres_row {
    std::string key{};
    std::string token{};
    std::string fingerprint{};
    std::int32_t attempt = 1;
    postgres_time lease_until = 0;
    postgres_time expires_at = 0;
    std::optional<std::string> response{};
    std::optional<std::string> steps{};
    std::optional<std::string> parked{};
    std::optional<std::int64_t> remember{};

    [[nodiscard]] bool is_live(postgres_time now) const { return expires_at > now; }
    [[nodiscard]] bool has_lease(postgres_time now) const { return lease_until > now; }
    [[nodiscard]] bool is_not_parked(postgres_time now) const { return !parked || has_lease(now); }
    [[nodiscard]] bool is_over(postgres_time now) const { return !response && !has_lease(now); }
    /// Of an expired one.
    [[nodiscard]] bool is_remembered(postgres_time now) const {
        return remember && later_by(expires_at, *remember) > now;
    }
    [[nodiscard]] std::int64_t steps_size() const { return steps ? static_cast<std::int64_t>(steps->size()) : 0; }
};

/// What has been committed.
struct postgres_tables {
    std::map<std::string, postgres_row> records;
    /// Until when the first half of a key is remembered.
    std::map<std::string, postgres_time> marks;

    [[nodiscard]] postgres_row const* find(std::string const& key) const {
        auto const found = records.find(key);
        return found == records.end() ? nullptr : &found->second;
    }
    [[nodiscard]] bool has_mark(std::string const& key, postgres_time now) const {
        auto const found = marks.find(key.substr(0, 16));
        return found != marks.end() && found->second > now;
    }
};

}  // namespace idempo::simulation
