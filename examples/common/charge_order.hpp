// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

/// A charge to be made: the body's amount, the switches of the query, for experiments, and the parts of the request
/// that the response needs.
struct charge_order {
    enum class failure { none, before_effect, after_effect };

    std::uint64_t amount = 0;
    std::chrono::milliseconds delay{0};
    unsigned status = 201;
    std::size_t padding = 0;
    bool cookie = false;
    failure throws = failure::none;

    unsigned version = 11;
    bool keep_alive = true;
};

/// The amount in `{"amount":42}`; nullopt if it is not JSON or not a positive integer.
[[nodiscard]] std::optional<std::uint64_t> parse_amount(std::string_view body);

/// Reads `delay_ms=20&status=402&size=1000&cookie=1&throw=after` into the order. Ignores unknown names, so that a test
/// may vary the target. Returns whether all values are valid.
[[nodiscard]] bool parse_switches(std::string_view query, charge_order& order);
