// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// \file
/// Values in PostgreSQL's binary format.

namespace idempo::simulation {

/// Null, or the bytes.
using postgres_field = std::optional<std::string>;
using postgres_fields = std::vector<postgres_field>;

[[nodiscard]] std::string write_int4(std::int32_t number);
[[nodiscard]] std::string write_int8(std::int64_t number);
[[nodiscard]] std::string write_bool(bool is);

[[nodiscard]] std::int64_t read_int(std::string_view bytes);
/// The elements of a one-dimensional array without nulls.
[[nodiscard]] std::vector<std::string> read_array(std::string_view bytes);

}  // namespace idempo::simulation
