// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/record/response_fields.hpp>

#include <idempo/record/flat_message.hpp>
#include <idempo/record/raw_response.hpp>

#include <boost/beast/core/buffer_traits.hpp>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/core/string.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>

namespace idempo::detail {

namespace {

constexpr std::size_t max_head = std::size_t{64} << 10;
constexpr std::string_view head_end = "\r\n\r\n";
constexpr std::string_view line_end = "\r\n";

bool is_whole(std::string_view head) { return head.starts_with("HTTP/") && head.ends_with(head_end); }

/// Takes the head out of the generator, and nothing behind it. False where the generator failed or has ended.
bool take_head(http::message_generator& source, std::string& head, error_code& failure) {
    while (!head.ends_with(head_end) && head.size() < max_head) {
        if (source.is_done()) return false;
        auto const pieces = source.prepare(failure);
        if (failure || source.is_done()) return false;
        std::size_t taken = 0;
        for (auto const& piece : pieces) {
            auto const before = head.size();
            head.append(static_cast<char const*>(piece.data()), std::min(piece.size(), max_head - before));
            auto const found = head.find(head_end, before - std::min(before, head_end.size() - 1));
            if (found != std::string::npos) head.resize(found + head_end.size());
            taken += head.size() - before;
            if (found != std::string::npos || head.size() == max_head) break;
        }
        source.consume(taken);
    }
    return true;
}

struct string_content {
    std::string text;

    [[nodiscard]] std::string_view bytes() const noexcept { return text; }
};

/// As Beast writes it.
std::string head_of(http::response<http::string_body> const& response) {
    http::fields::writer writer(response.base(), response.version(), response.result_int());
    auto const pieces = writer.get();
    std::string head;
    head.reserve(boost::beast::buffer_bytes(pieces));
    for (auto const piece : boost::beast::buffers_range_ref(pieces)) {
        head.append(static_cast<char const*>(piece.data()), piece.size());
    }
    return head;
}

}  // namespace

http::message_generator to_generator(http::response<http::string_body> response) {
    if (response.chunked()) return response;  // which encodes its body, too
    auto head = head_of(response);
    bool const keep_alive = response.keep_alive();
    return make_flat_message(std::move(head), string_content{std::move(response.body())}, keep_alive);
}

bool response_fields::replaces(std::string_view head_line) const {
    auto const name = head_line.substr(0, head_line.find(':'));
    return std::any_of(lines_.begin(), lines_.end(),
                       [name](line const& given) { return given.replaces && boost::beast::iequals(given.name, name); });
}

void response_fields::rewrite(std::string& head) const {
    std::string written;
    written.reserve(head.size() + 64 * lines_.size());
    bool drops = false;
    bool is_status_line = true;
    for (std::string_view rest(head); !rest.starts_with(line_end);) {
        auto const text = rest.substr(0, rest.find(line_end) + line_end.size());
        bool const goes_on = text.front() == ' ' || text.front() == '\t';  // a folded line shares the fate of its field
        if (!goes_on) drops = !is_status_line && replaces(text);
        if (!drops) written.append(text);
        is_status_line = false;
        rest.remove_prefix(text.size());
    }
    for (auto const& given : lines_) {
        if (!given.drops) written.append(given.name).append(": ").append(given.value).append(line_end);
    }
    written.append(line_end);
    head = std::move(written);
}

http::message_generator response_fields::applied_to(http::message_generator response) const {
    if (empty()) return response;
    bool const keep_alive = !closes_ && response.keep_alive();
    return applied_to(std::move(response), keep_alive);
}

http::message_generator response_fields::applied_to(http::message_generator response, bool keep_alive) const {
    raw_body::value_type whole;
    std::string head;
    bool const goes_on = take_head(response, head, whole.failure);
    if (is_whole(head)) rewrite(head);
    whole.drained.assign(head.begin(), head.end());
    if (goes_on && !response.is_done()) whole.rest = std::move(response);
    return make_raw_response(std::move(whole), keep_alive);
}

}  // namespace idempo::detail
