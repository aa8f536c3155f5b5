// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string_view>

namespace idempo::detail {

/// The type and subtype in a Content-Type (RFC 9110, section 8.3.1), as sent.
[[nodiscard]] std::string_view media_type_of(std::string_view content_type) noexcept;

[[nodiscard]] bool is_multipart(std::string_view content_type) noexcept;

/// `application/json` or any type that ends with `+json` (RFC 6839, section 3.1).
[[nodiscard]] bool is_json(std::string_view content_type) noexcept;

/// A Content-Type around its boundary.
struct boundary_parameter {
    std::string_view before;
    std::string_view boundary;
    std::string_view after;
};

/// Empty where there is no boundary, more than one, or one that RFC 2046, section 5.1.1, does not allow.
[[nodiscard]] std::optional<boundary_parameter> find_boundary(std::string_view content_type) noexcept;

}  // namespace idempo::detail
