// SPDX-License-Identifier: MIT
#include "orders/order.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>

namespace {

constexpr std::size_t longest_name = 200;
constexpr std::int64_t largest_amount = 1'000'000'000'000;

/// Not empty, not too long, and no control characters: PostgreSQL rejects NUL, and a log does not want the others.
std::optional<std::string> read_name(nlohmann::json const& object, char const* member) {
    auto const found = object.find(member);
    if (found == object.end() || !found->is_string()) return std::nullopt;
    auto text = found->get<std::string>();
    bool const has_control =
        std::any_of(text.begin(), text.end(), [](unsigned char byte) { return byte < 0x20 || byte == 0x7F; });
    if (text.empty() || text.size() > longest_name || has_control) return std::nullopt;
    return text;
}

std::optional<std::int64_t> read_amount(nlohmann::json const& object) {
    auto const found = object.find("amount");
    if (found == object.end() || !found->is_number_integer()) return std::nullopt;
    if (*found < 1 || *found > largest_amount) return std::nullopt;
    return found->get<std::int64_t>();
}

}  // namespace

std::variant<order_request, std::string_view> parse_order(std::string_view body) {
    constexpr bool throws = false;
    auto const json = nlohmann::json::parse(body, nullptr, throws);
    if (!json.is_object()) return "The body must be a JSON object";
    auto user_id = read_name(json, "user_id");
    if (!user_id) return "user_id must be a text of 1 to 200 bytes";
    auto item = read_name(json, "item");
    if (!item) return "item must be a text of 1 to 200 bytes";
    auto const amount = read_amount(json);
    if (!amount) return "amount must be a positive whole number";
    return order_request{std::move(*user_id), std::move(*item), *amount};
}

nlohmann::ordered_json to_json(order const& made) {
    return {{"id", made.id},
            {"user_id", made.user_id},
            {"item", made.item},
            {"amount", made.amount},
            {"idempotency_key", made.idempotency_key},
            {"created_at", made.created_at}};
}
