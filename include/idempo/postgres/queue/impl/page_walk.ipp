// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/queue/page_walk.hpp>

#include <algorithm>
#include <charconv>
#include <limits>
#include <system_error>

namespace idempo::postgres {

namespace {

constexpr std::string_view page_cursor_prefix = "page:";

}  // namespace

std::string first_place_in(std::int64_t page) {
    constexpr std::int64_t last = std::numeric_limits<std::uint32_t>::max();
    page = std::min(page, last);
    std::string bytes;
    for (int const shift : {24, 16, 8, 0}) bytes += static_cast<char>(static_cast<unsigned char>(page >> shift));
    return bytes + std::string(2, '\0');
}

std::int64_t pages_listed(list_request const& request) {
    // With an answer of 300 bytes there are a dozen in a page of 8 KiB, and at most 40.
    constexpr std::size_t records_in_page = 16;
    constexpr std::int64_t pages_of_few = 2048;
    bool const is_selective = request.state.value_or(record_state::completed) != record_state::completed ||
                              request.least_attempt > 1 || request.lease_ended;
    if (is_selective) return pages_of_few;
    return static_cast<std::int64_t>(
        std::max(idempo::detail::bounded_page(request.limit) / records_in_page, std::size_t{1}));
}

std::string write_page_cursor(std::int64_t page) { return std::string(page_cursor_prefix) + std::to_string(page); }

std::optional<std::int64_t> read_page_cursor(std::string_view text) {
    if (!text.starts_with(page_cursor_prefix)) return std::nullopt;
    text.remove_prefix(page_cursor_prefix.size());
    std::uint32_t page = 0;
    auto const* const end = text.data() + text.size();
    auto const [stopped, error] = std::from_chars(text.data(), end, page);
    if (error != std::errc() || stopped != end) return std::nullopt;
    return page;
}

}  // namespace idempo::postgres
