// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/sha256.hpp>
#include <idempo/identifiers.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace idempo::postgres {

/// The name under which a session knows a statement. Another text has another name: where a session turns out to be a
/// pooler's, and another client's process has prepared statements there, a name is unknown or its text is the same.
[[nodiscard]] inline std::string statement_name(std::string_view text) {
    constexpr std::size_t used_bytes = 16;
    auto const digest = idempo::detail::sha256().raw(text).finish();
    return "idempo_" + to_hex({reinterpret_cast<char const*>(digest.data()), used_bytes});
}

}  // namespace idempo::postgres
