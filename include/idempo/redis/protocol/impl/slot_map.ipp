// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/protocol/slot_map.hpp>

#include <algorithm>
#include <iterator>
#include <string>

namespace idempo::redis {

namespace {

/// Where it is in `all`, to which it is added first if it is new.
std::size_t place_of(redis_endpoint const& endpoint, std::vector<redis_endpoint>& all) {
    auto const found = std::find(all.begin(), all.end(), endpoint);
    auto const place = static_cast<std::size_t>(std::distance(all.begin(), found));
    if (found == all.end()) all.push_back(endpoint);
    return place;
}

/// A node is a host, a port, and more that does not matter here.
bool is_node(reply_view node) {
    bool const has_host = node[0].is_nil() || node[0].is_string();
    return node.size() >= 2 && has_host && node[1].is_integer() && node[1].integer() >= 0 && node[1].integer() <= 65535;
}

/// Nothing for a node that has no name where names are preferred ("?"), or no port of the kind that was asked.
std::optional<redis_endpoint> endpoint_of(reply_view node, redis_endpoint const& asked) {
    auto const host = node[0].text();
    if (host == "?" || node[1].integer() == 0) return std::nullopt;
    return redis_endpoint{host.empty() ? asked.host : std::string(host), static_cast<std::uint16_t>(node[1].integer())};
}

}  // namespace

std::optional<slot_map> slot_map::read(reply_view answer, redis_endpoint const& asked) {
    if (!answer.is_array()) return std::nullopt;
    slot_map map;
    for (std::size_t range = 0; range < answer.size(); ++range) {
        if (!map.add_range(answer[range], asked)) return std::nullopt;
    }
    return map;
}

// First slot, last slot, the primary, and its replicas.
bool slot_map::add_range(reply_view range, redis_endpoint const& asked) {
    auto const first = range[0].integer();
    auto const last = range[1].integer();
    if (range.size() < 3 || first < 0 || last < first || last >= static_cast<long long>(slot_count)) return false;
    for (std::size_t node = 2; node < range.size(); ++node) {
        if (!is_node(range[node])) return false;
        auto const endpoint = endpoint_of(range[node], asked);
        if (!endpoint) continue;
        if (node == 2 && !add_slots(static_cast<std::size_t>(first), static_cast<std::size_t>(last), *endpoint)) {
            return false;
        }
        if (node > 2) static_cast<void>(place_of(*endpoint, replicas_));
    }
    return primaries_.size() + replicas_.size() <= max_nodes;
}

bool slot_map::add_slots(std::size_t first, std::size_t last, redis_endpoint const& primary) {
    auto const node = static_cast<place>(place_of(primary, primaries_));
    for (auto slot = first; slot <= last; ++slot) {
        if (places_[slot] != nowhere) return false;
        places_[slot] = node;
        ++covered_;
    }
    return true;
}

std::optional<std::size_t> slot_map::primary_of(std::uint16_t slot) const {
    auto const primary = places_[slot];
    if (primary == nowhere) return std::nullopt;
    return primary;
}

std::optional<std::uint16_t> slot_map::next_primary(std::uint16_t slot) const {
    std::vector<bool> seen(primaries_.size());
    for (std::size_t each = 0; each < slot_count; ++each) {
        if (places_[each] == nowhere || seen[places_[each]]) continue;
        seen[places_[each]] = true;
        if (each >= slot) return static_cast<std::uint16_t>(each);
    }
    return std::nullopt;
}

}  // namespace idempo::redis
