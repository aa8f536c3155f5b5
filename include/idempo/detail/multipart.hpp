// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace idempo::detail {

/// One body part: its header fields without the blank line after them, and its bytes.
struct multipart_part {
    std::string_view fields;
    std::string_view content;
};

/// Reads a multipart body (RFC 2046, section 5.1.1), part by part. Views into the body; allocates nothing.
///
/// It is strict, since what it calls well-formed is compared without the boundary: lines end with CRLF, each part has
/// its blank line, and the boundary after two hyphens is nowhere but in delimiters. What a lenient parser might split
/// otherwise is malformed here.
class multipart_reader {
public:
    enum class found { part, end, malformed };

    /// \pre `boundary` has 1 to 70 characters.
    multipart_reader(std::string_view body, std::string_view boundary) noexcept;

    /// The next part, or the end. Not to be called after `end` or `malformed`.
    [[nodiscard]] found next(multipart_part& part) noexcept;

    /// What is before the first delimiter, from the first `next` on.
    [[nodiscard]] std::string_view preamble() const noexcept { return preamble_; }

    /// What is after the last delimiter, from `end` on.
    [[nodiscard]] std::string_view epilogue() const noexcept { return epilogue_; }

private:
    [[nodiscard]] std::string_view delimiter() const noexcept { return {delimiter_.data(), delimiter_size_}; }
    [[nodiscard]] std::size_t find_delimiter(std::size_t from) const noexcept;
    [[nodiscard]] bool take_delimiter(std::size_t at) noexcept;
    [[nodiscard]] bool read_preamble() noexcept;

    static constexpr std::size_t longest_delimiter = 72;

    std::string_view body_;
    std::array<char, longest_delimiter> delimiter_;  // not initialised: only the first `delimiter_size_` are read
    std::size_t delimiter_size_;
    std::size_t at_ = 0;
    bool started_ = false;
    bool closed_ = false;
    std::string_view preamble_;
    std::string_view epilogue_;
};

}  // namespace idempo::detail
