// SPDX-License-Identifier: MIT
#include "orders/order.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr std::size_t longest_name = 200;
constexpr std::int64_t largest_amount = 1'000'000'000'000;

/// Whether a reader could be shown the text in another order than it has: U+200E, U+200F, U+202A to U+202E and U+2066
/// to U+2069, as UTF-8. https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing
bool turns_direction(std::string_view text) {
    for (auto at = text.find("\xE2"); at != std::string_view::npos && at + 2 < text.size();
         at = text.find("\xE2", at + 1)) {
        auto const middle = static_cast<unsigned char>(text[at + 1]);
        auto const last = static_cast<unsigned char>(text[at + 2]);
        if (middle == 0x80 && (last == 0x8E || last == 0x8F || (last >= 0xAA && last <= 0xAE))) return true;
        if (middle == 0x81 && last >= 0xA6 && last <= 0xA9) return true;
    }
    return false;
}

/// Parses with every member once: which of two counts, parsers do not agree about.
nlohmann::json parse_strictly(std::string_view body) {
    constexpr bool throws = false;
    std::vector<std::set<std::string>> members;
    bool has_duplicate = false;
    auto const look = [&](int, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
        using event_t = nlohmann::json::parse_event_t;
        if (event == event_t::object_start) members.emplace_back();
        if (event == event_t::object_end) members.pop_back();
        if (event == event_t::key && !members.back().insert(parsed.get<std::string>()).second) has_duplicate = true;
        return true;
    };
    auto parsed = nlohmann::json::parse(body, look, throws);
    return has_duplicate ? nlohmann::json(nlohmann::json::value_t::discarded) : parsed;
}

/// Not empty, not too long, and no control characters: PostgreSQL rejects NUL, and a log does not want the others.
std::optional<std::string> read_name(nlohmann::json const& object, char const* member) {
    auto const found = object.find(member);
    if (found == object.end() || !found->is_string()) return std::nullopt;
    auto text = found->get<std::string>();
    bool const has_control =
        std::any_of(text.begin(), text.end(), [](unsigned char byte) { return byte < 0x20 || byte == 0x7F; });
    if (text.empty() || text.size() > longest_name || has_control || turns_direction(text)) return std::nullopt;
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
    auto const json = parse_strictly(body);
    if (!json.is_object()) return "The body must be a JSON object that has each member once";
    constexpr std::size_t members = 3;
    if (json.size() > members) return "The order has a member that nobody knows: user_id, item and amount are all";
    auto user_id = read_name(json, "user_id");
    if (!user_id) return "user_id must be a text of 1 to 200 bytes, without control characters";
    auto item = read_name(json, "item");
    if (!item) return "item must be a text of 1 to 200 bytes, without control characters";
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
