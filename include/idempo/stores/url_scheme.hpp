// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace idempo {

/// The part of a store's URL before the first colon, in lower case.
/// \throws std::invalid_argument if there is none.
[[nodiscard]] std::string url_scheme(std::string_view url);

}  // namespace idempo
