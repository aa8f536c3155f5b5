// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/listing.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// \file
/// Walks through a table as it lies on the disk, some pages at a time, by a range of `ctid`. The server reads such a
/// range alone since PostgreSQL 14; before that each step reads the whole table.

namespace idempo::postgres {

/// The first place in a page, as `tidrecv` reads it.
[[nodiscard]] std::string first_place_in(std::int64_t page);

/// How many pages a call reads: about as many as hold `limit` records, or 16 MiB where few of them will match.
[[nodiscard]] std::int64_t pages_listed(list_request const& request);

/// \name The cursor of a listing that goes on at a page: `page:17`
/// @{
[[nodiscard]] std::string write_page_cursor(std::int64_t page);
/// Empty where it is none.
[[nodiscard]] std::optional<std::int64_t> read_page_cursor(std::string_view text);
/// @}

}  // namespace idempo::postgres
