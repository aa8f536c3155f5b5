// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <string_view>

/// Reads `250ms`, `30s`, `1.5m` or `24h`. A number without its unit is an error, since one would guess wrong.
/// \throws std::invalid_argument with a sentence.
[[nodiscard]] std::chrono::milliseconds parse_duration(std::string_view text);
