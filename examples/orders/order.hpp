// SPDX-License-Identifier: MIT
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

/// The request of a client.
struct order_request {
    std::string user_id;
    std::string item;
    std::int64_t amount = 0;
};

/// The result: a row of the table.
struct order {
    std::string id;
    std::string user_id;
    std::string item;
    std::int64_t amount = 0;
    std::string idempotency_key;
    /// UTC, RFC 3339, with microseconds.
    std::string created_at;
};

/// Reads `{"user_id":"ada","item":"tea","amount":2}`, or returns a sentence about its fault.
[[nodiscard]] std::variant<order_request, std::string_view> parse_order(std::string_view body);

/// In the order of the members above.
[[nodiscard]] nlohmann::ordered_json to_json(order const& made);
