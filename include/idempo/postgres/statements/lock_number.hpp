// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string_view>

namespace idempo::postgres {

/// The number of an advisory lock: two purposes, or two tables, share one by chance alone.
/// \param table quoted, with its schema
[[nodiscard]] std::int64_t lock_number(std::string_view purpose, std::string_view table, std::string_view of = {});

}  // namespace idempo::postgres
