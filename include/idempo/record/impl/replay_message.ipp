// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/record/replay_message.hpp>

#include <idempo/record/flat_message.hpp>
#include <idempo/record/replay_fields.hpp>

#include <boost/beast/http/status.hpp>

#include <cstddef>
#include <string>
#include <utility>

namespace idempo::detail {

namespace {

struct stored_content {
    stored_response stored;

    [[nodiscard]] std::string_view bytes() const noexcept {
        return replay_has_body(stored.status()) ? stored.body() : std::string_view();
    }
};

constexpr std::string_view line_separator = "\r\n";
constexpr std::string_view name_separator = ": ";

/// Not less than the head takes, so that it is allocated once.
std::size_t max_head_size(stored_response const& stored, std::string_view marker_name, std::string_view marker_value) {
    constexpr std::size_t all_but_fields = 128;  // "HTTP/1.1 201 ", a reason of Beast's, Connection, Content-Length
    auto size = all_but_fields + stored.reason().size() + marker_name.size() + marker_value.size();
    for (auto const& [name, value] : stored.fields()) {
        size += name.size() + name_separator.size() + value.size() + line_separator.size();
    }
    return size;
}

std::string replay_head(stored_response const& stored, unsigned version, bool keep_alive, std::string_view marker_name,
                        std::string_view marker_value) {
    std::string head;
    head.reserve(max_head_size(stored, marker_name, marker_value));
    auto const add = [&head](std::string_view name, std::string_view value) {
        head.append(name).append(name_separator).append(value).append(line_separator);
    };
    head.append(version >= 11 ? "HTTP/1.1 " : "HTTP/1.0 ").append(std::to_string(stored.status())).append(" ");
    std::string_view reason = stored.reason();
    if (reason.empty()) reason = http::obsolete_reason(http::int_to_status(stored.status()));
    head.append(reason).append(line_separator);
    for_each_replay_field(stored, version, keep_alive, marker_name, marker_value, add);
    if (replay_has_body(stored.status())) add("Content-Length", std::to_string(stored.body().size()));
    head.append(line_separator);
    return head;
}

}  // namespace

http::message_generator make_replay_message(stored_response const& stored, unsigned version, bool keep_alive,
                                            std::string_view marker_name, std::string_view marker_value,
                                            response_fields const& fields) {
    auto head = replay_head(stored, version, keep_alive, marker_name, marker_value);
    if (!fields.empty()) fields.rewrite(head);
    return make_flat_message(std::move(head), stored_content{stored}, keep_alive);
}

}  // namespace idempo::detail
