// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace idempo::detail {

/// The field `traceparent` of W3C Trace Context, levels 1 and 2, section 3.2: version, trace id, parent id and flags in
/// lower-case hexadecimal digits. Holds its own bytes, and allocates nothing.
class traceparent {
public:
    static constexpr std::string_view field_name = "traceparent";
    static constexpr std::size_t length = 55;

    /// None.
    traceparent() noexcept = default;

    /// None where the value is not valid. Of a version later than 00 the part that version 00 defines is kept, as
    /// section 3.2.4 asks.
    [[nodiscard]] static traceparent parse(std::string_view value) noexcept;

    /// Whether it is exactly what `parse` keeps.
    [[nodiscard]] static bool is_valid(std::string_view value) noexcept;

    /// Empty where there is none.
    [[nodiscard]] std::string_view view() const noexcept { return {bytes_.data(), size_}; }

private:
    std::array<char, length> bytes_{};
    std::size_t size_ = 0;
};

/// The trace id of a valid `traceparent`, 32 digits; empty of an empty one.
[[nodiscard]] inline std::string_view trace_id(std::string_view traceparent) noexcept {
    constexpr std::size_t offset = 3;
    constexpr std::size_t digits = 32;
    return traceparent.empty() ? traceparent : traceparent.substr(offset, digits);
}

}  // namespace idempo::detail
