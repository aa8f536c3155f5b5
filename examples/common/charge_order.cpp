// SPDX-License-Identifier: MIT
#include "common/charge_order.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <system_error>

namespace {

/// A whole number of the given range, without sign.
std::optional<std::size_t> parse_number(std::string_view text, std::size_t lowest, std::size_t highest) {
    std::size_t number = 0;
    auto const* const end = text.data() + text.size();
    auto const result = std::from_chars(text.data(), end, number);
    if (result.ec != std::errc{} || result.ptr != end || number < lowest || number > highest) return std::nullopt;
    return number;
}

std::optional<charge_order::failure> parse_failure(std::string_view text) {
    if (text == "before") return charge_order::failure::before_effect;
    if (text == "after") return charge_order::failure::after_effect;
    return std::nullopt;
}

template <class From, class To>
bool assign(std::optional<From> const& from, To& to) {
    if (from) to = static_cast<To>(*from);
    return from.has_value();
}

bool parse_switch(std::string_view name, std::string_view value, charge_order& order) {
    constexpr std::size_t longest_delay_ms = 3'600'000;
    constexpr std::size_t largest_padding = std::size_t{64} << 20;
    if (name == "delay_ms") return assign(parse_number(value, 0, longest_delay_ms), order.delay);
    if (name == "status") return assign(parse_number(value, 200, 599), order.status);
    if (name == "size") return assign(parse_number(value, 0, largest_padding), order.padding);
    if (name == "cookie") return assign(parse_number(value, 0, 1), order.cookie);
    if (name == "throw") return assign(parse_failure(value), order.throws);
    return true;
}

}  // namespace

std::optional<std::uint64_t> parse_amount(std::string_view body) {
    constexpr bool throws = false;
    auto const json = nlohmann::json::parse(body, nullptr, throws);
    if (!json.is_object()) return std::nullopt;
    auto const amount = json.find("amount");
    if (amount == json.end() || !amount->is_number_unsigned()) return std::nullopt;
    auto const value = amount->get<std::uint64_t>();
    return value > 0 ? std::optional(value) : std::nullopt;
}

bool parse_switches(std::string_view query, charge_order& order) {
    while (!query.empty()) {
        auto const end = std::min(query.find('&'), query.size());
        auto const parameter = query.substr(0, end);
        auto const equals = std::min(parameter.find('='), parameter.size());
        auto const value = parameter.substr(std::min(equals + 1, parameter.size()));
        if (!parse_switch(parameter.substr(0, equals), value, order)) return false;
        query.remove_prefix(std::min(end + 1, query.size()));
    }
    return true;
}
