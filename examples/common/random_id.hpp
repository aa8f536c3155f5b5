// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

/// The prefix and 16 hexadecimal digits.
[[nodiscard]] std::string random_id(std::string_view prefix);
