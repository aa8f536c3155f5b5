// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

namespace idempo::detail {

/// A request's target, whichever form it was sent in (RFC 9112, section 3.2).
struct target_parts {
    /// Of an absolute-form, else of the Host field. Without port 80 or 443, as sent otherwise.
    std::string_view authority;
    /// Begins with a slash; without the query. As it is where the target is in neither form.
    std::string_view path;
    /// With its question mark; empty where there is none.
    std::string_view query;
};

/// Views into both. Which scheme the client used behind a TLS proxy, nobody knows: either default port is dropped.
[[nodiscard]] target_parts split_target(std::string_view target, std::string_view host) noexcept;

}  // namespace idempo::detail
