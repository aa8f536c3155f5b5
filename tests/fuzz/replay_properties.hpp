// SPDX-License-Identifier: MIT
#pragma once

#include "fuzz/wire.hpp"

#include <idempo/record/replay_message.hpp>
#include <idempo/record/stored_response.hpp>

#include <boost/beast/core/string.hpp>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// \file
/// The properties of every accepted record, wherever it came from.

namespace idempo::fuzz {

/// Name and value; names in lower case.
using field_list = std::vector<std::pair<std::string, std::string>>;

/// Without the blanks around it, which a parser drops (RFC 9110, section 5.5).
inline std::string_view trimmed(std::string_view value) {
    auto const first = value.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return value.substr(first, value.find_last_not_of(" \t") - first + 1);
}

inline void append(field_list& to, std::string_view name, std::string_view value) {
    std::string lower(name);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    to.emplace_back(std::move(lower), trimmed(value));
}

/// By name; only the order of lines with one name has a meaning (RFC 9110, section 5.3).
inline field_list sorted(field_list fields) {
    std::stable_sort(fields.begin(), fields.end(), [](auto const& a, auto const& b) { return a.first < b.first; });
    return fields;
}

inline field_list fields_of(stored_response const& stored) {
    field_list fields;
    for (auto const& [name, value] : stored.fields()) append(fields, name, value);
    return sorted(std::move(fields));
}

template <class Fields>
field_list fields_of(Fields const& message) {
    field_list fields;
    for (auto const& line : message) append(fields, line.name_string(), line.value());
    return sorted(std::move(fields));
}

/// RFC 9110, section 7.6.1, and the fields that end a message. Written independently of the library.
inline bool belongs_to_connection(std::string_view lower_case_name) {
    constexpr auto names = std::to_array<std::string_view>(
        {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "content-length"});
    return std::find(names.begin(), names.end(), lower_case_name) != names.end() ||
           lower_case_name.starts_with("proxy-");
}

/// The bytes of a replay are one whole response with the stored parts, and nothing of the first connection.
inline void check_replay_bytes(std::string_view bytes, stored_response const& stored, unsigned version,
                               bool keep_alive) {
    auto expected = fields_of(stored);
    for (auto const& field : expected) require(!belongs_to_connection(field.first), "no hop-by-hop field is stored");

    auto const read = read_one_response(bytes);
    require(read.has_value(), "a replay is one response");
    require(read->result_int() == stored.status() && read->version() == version, "a replay has the stored status");
    require(read->reason() == stored.reason() || stored.reason().empty(), "a replay has the stored reason");
    require(read->keep_alive() == keep_alive, "a replay obeys the connection that it answers");
    bool const has_body = stored.status() != 204 && stored.status() != 304;
    require(read->body() == (has_body ? stored.body() : std::string_view()), "a replay has the stored body");

    std::erase_if(expected, [](auto const& field) { return field.first == "idempotency-replayed"; });
    append(expected, "Idempotency-Replayed", "true");
    auto found = fields_of(*read);
    std::erase_if(found, [](auto const& field) { return belongs_to_connection(field.first); });
    require(found == sorted(std::move(expected)), "a replay has the stored fields");
}

/// The same for both kinds of replay, a response and a generator.
inline void check_replay(stored_response const& stored, unsigned version, bool keep_alive) {
    constexpr std::string_view marker = "Idempotency-Replayed";
    check_replay_bytes(bytes_of(make_replay(stored, version, keep_alive, marker, "true")), stored, version, keep_alive);
    check_replay_bytes(bytes_of(detail::make_replay_message(stored, version, keep_alive, marker, "true")), stored,
                       version, keep_alive);
}

/// The record can be read, and keeps the properties above.
inline stored_response check_record(shared_bytes const& record, unsigned version, bool keep_alive) {
    error_code ec;
    auto stored = stored_response::decode(record, ec);
    require(!ec && stored.retained(), "what is written can be read");
    check_replay(stored, version, keep_alive);
    return stored;
}

}  // namespace idempo::fuzz
