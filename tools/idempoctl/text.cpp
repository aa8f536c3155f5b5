// SPDX-License-Identifier: MIT
#include "idempoctl/text.hpp"

#include <idempo/identifiers.hpp>

#include <array>
#include <charconv>
#include <cstddef>
#include <system_error>
#include <utility>

namespace idempoctl {

namespace {

using std::chrono::milliseconds;

struct unit {
    std::string_view name;
    milliseconds length;
};

constexpr std::array units{
    unit{"d", std::chrono::hours{24}},  unit{"h", std::chrono::hours{1}}, unit{"m", std::chrono::minutes{1}},
    unit{"s", std::chrono::seconds{1}}, unit{"ms", milliseconds{1}},
};

std::string hex_byte(char byte) { return idempo::to_hex({&byte, 1}); }

}  // namespace

std::optional<milliseconds> parse_span(std::string_view text) {
    std::int64_t count = 0;
    auto const* const end = text.data() + text.size();
    auto const [stopped, error] = std::from_chars(text.data(), end, count);
    if (error != std::errc() || count < 0) return std::nullopt;
    constexpr milliseconds longest = std::chrono::hours{24} * 365 * 1000;
    for (auto const& each : units) {
        if (std::string_view(stopped, static_cast<std::size_t>(end - stopped)) != each.name) continue;
        if (count > longest / each.length) return std::nullopt;
        return count * each.length;
    }
    return std::nullopt;
}

std::string print_span(milliseconds span) {
    if (span < milliseconds::zero()) span = -span;
    for (std::size_t i = 0; i + 1 < units.size(); ++i) {
        if (span < units[i].length) continue;
        auto text = std::to_string(span / units[i].length) + std::string(units[i].name);
        auto const rest = (span % units[i].length) / units[i + 1].length;
        bool const is_worth_it = rest > 0 && units[i + 1].length >= std::chrono::seconds{1};
        if (is_worth_it) text += ' ' + std::to_string(rest) + std::string(units[i + 1].name);
        return text;
    }
    return std::to_string(span.count()) + "ms";
}

std::optional<idempo::record_state> parse_state(std::string_view text) {
    for (auto const state :
         {idempo::record_state::in_flight, idempo::record_state::completed, idempo::record_state::parked}) {
        if (name_of(state) == text) return state;
    }
    return std::nullopt;
}

std::string_view name_of(idempo::record_state state) {
    switch (state) {
    case idempo::record_state::in_flight: return "in_flight";
    case idempo::record_state::completed: return "completed";
    case idempo::record_state::parked: return "parked";
    case idempo::record_state::remembered: return "remembered";
    }
    return "unknown";
}

bool has_ended_lease(idempo::record_info const& info) {
    bool const has_ended = info.lease_remaining <= milliseconds::zero();
    return info.state == idempo::record_state::in_flight && has_ended && !is_free(info);
}

bool is_free(idempo::record_info const& info) {
    return info.state == idempo::record_state::in_flight && info.attempt == 0;
}

std::string sentence_of(idempo::record_info const& info) {
    if (is_free(info)) return "free";
    if (info.state == idempo::record_state::remembered) {
        return "expired, remembered for another " + print_span(info.expires_in);
    }
    std::string text(name_of(info.state));
    if (info.state == idempo::record_state::in_flight) text = "in flight";
    text += ", attempt " + std::to_string(info.attempt);
    if (info.state != idempo::record_state::in_flight) return text;
    return text + (has_ended_lease(info) ? ", lease ended " + print_span(info.lease_remaining) + " ago"
                                         : ", lease ends in " + print_span(info.lease_remaining));
}

std::string printable(std::string_view text) {
    std::string shown;
    for (char const each : text) {
        bool const is_plain = each >= ' ' && each <= '~';
        shown += is_plain ? std::string(1, each) : "\\x" + hex_byte(each);
    }
    return shown;
}

std::string json_string(std::string_view text) {
    std::string quoted = "\"";
    for (char const each : text) {
        bool const is_plain = each >= ' ' && each <= '~' && each != '"' && each != '\\';
        quoted += is_plain ? std::string(1, each) : "\\u00" + hex_byte(each);
    }
    return quoted + '"';
}

json_object& json_object::add_raw(std::string_view name, std::string_view json) {
    if (!fields_.empty()) fields_ += ',';
    fields_.append(json_string(name)).append(":").append(json);
    return *this;
}

json_object& json_object::add(std::string_view name, std::string_view value) {
    return add_raw(name, json_string(value));
}

json_object& json_object::add(std::string_view name, std::int64_t value) {
    return add_raw(name, std::to_string(value));
}

json_object& json_object::add(std::string_view name, bool value) { return add_raw(name, value ? "true" : "false"); }

json_object json_of(idempo::store_key const& key, idempo::record_info const& info) {
    json_object object;
    object.add("key", idempo::to_hex(key.view()));
    object.add("state", name_of(info.state));
    object.add("attempt", std::int64_t{info.attempt});
    if (info.age) object.add("age_ms", *info.age);
    if (info.state == idempo::record_state::in_flight) object.add("lease_remaining_ms", info.lease_remaining);
    object.add("expires_in_ms", info.expires_in);
    object.add("record_bytes", static_cast<std::int64_t>(info.record_bytes));
    object.add("steps_bytes", static_cast<std::int64_t>(info.steps_bytes));
    if (!info.reason.empty()) object.add("reason", info.reason);
    return object;
}

}  // namespace idempoctl
