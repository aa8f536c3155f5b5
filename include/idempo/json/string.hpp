// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace idempo::json {

/// Appends the text as a JSON string (RFC 8259, section 7), in quotes and with no escapes but the necessary ones.
void append_string(std::string& out, std::string_view text);

}  // namespace idempo::json
