// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace idempo::detail {

/// Parses a field value that is a Structured Field Item whose bare item is a String (RFC 9651, section 4.2), and
/// unescapes it into `content`. Parameters are checked and ignored.
/// \returns false if the field value is anything else; `content` is then unspecified.
[[nodiscard]] bool parse_string_item(std::string_view field_value, std::string& content);

}  // namespace idempo::detail
