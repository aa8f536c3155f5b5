// SPDX-License-Identifier: MIT
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace idempo::postgres {

/// Replaces each `{name}`. What is filled in is not looked at again, so a value may hold a mark itself.
[[nodiscard]] std::string filled(std::string_view text,
                                 std::initializer_list<std::pair<std::string_view, std::string_view>> values);

/// As SQL writes a name.
[[nodiscard]] std::string quoted_name(std::string_view name);

/// As SQL writes a string, whatever `standard_conforming_strings` is.
[[nodiscard]] std::string quoted_string(std::string_view text);

}  // namespace idempo::postgres
