// SPDX-License-Identifier: MIT
#pragma once

#include "check_trace/checker.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace check_trace {

/// A file that cannot be read, or is no trace.
class unreadable : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// The lines of one file, one at a time.
class line_reader {
public:
    /// `-` is the standard input. \throws unreadable
    explicit line_reader(std::string name);
    line_reader(line_reader const&) = delete;
    line_reader& operator=(line_reader const&) = delete;
    ~line_reader();

    /// The next line, without its line break; valid until the next call. Empty at the end. \throws unreadable
    std::optional<std::string_view> next();
    /// Whether the last line has no line break: its process was killed.
    [[nodiscard]] bool is_cut() const noexcept { return is_cut_; }
    [[nodiscard]] std::uint64_t number() const noexcept { return number_; }
    [[nodiscard]] std::string const& name() const noexcept { return name_; }

private:
    bool fill();

    std::string name_;
    int file_ = -1;
    std::vector<char> buffer_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::uint64_t number_ = 0;
    bool is_cut_ = false;
};

/// Reads all files at once, in the order of their lines' times, and gives them to the checker.
struct reading {
    /// Lines that a killed process has not finished.
    std::uint64_t cut = 0;
};

/// \throws unreadable, with the file and the line
reading read_all(std::vector<std::string> const& files, checker& into);

}  // namespace check_trace
