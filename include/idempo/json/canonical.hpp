// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace idempo::json {

/// What of a JSON text counts, and how large it may be.
struct canonical_options {
    /// JSON Pointers (RFC 6901) to members and elements that do not count: a time stamp that the client sets anew for
    /// each try, say. One that points nowhere changes nothing.
    std::vector<std::string> leave_out{};
    /// Arrays and objects within each other.
    std::size_t max_depth = 32;
    /// Bytes of the text.
    std::size_t max_size = std::size_t{1} << 20;
};

/// Gives JSON texts that mean the same one form: members in any order, white space and escapes in strings do not
/// matter, numbers count by their value, in decimal and without rounding (`1`, `1.0` and `10e-1` are equal; two
/// integers of twenty digits that differ in the last are not). `null` and a missing member differ, and so do arrays in
/// another order. The form is JSON and its own form, but not that of RFC 8785, which rounds numbers to 64 bits.
///
/// Safe to use from any thread, concurrently.
class canonicalizer {
public:
    /// \throws std::invalid_argument for what is no JSON Pointer, or points to the whole text.
    explicit canonicalizer(canonical_options options = {});

    /// Empty where the text is not JSON (RFC 8259), has an object with two members of one name, or is over a limit.
    /// The result is at most twice as long as the text.
    [[nodiscard]] std::optional<std::string> operator()(std::string_view text) const;

    [[nodiscard]] canonical_options const& options() const noexcept { return options_; }

private:
    canonical_options options_;
};

}  // namespace idempo::json
