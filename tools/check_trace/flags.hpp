// SPDX-License-Identifier: MIT
#pragma once

#include "check_trace/record.hpp"

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace check_trace {

/// The parsed command line.
struct flags {
    std::vector<std::string> files;
    assumptions given;
    bool as_json = false;
    /// Nothing that could not be judged is accepted.
    bool is_strict = false;
};

/// A command line that makes no sense, as a sentence.
class wrong_usage : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Nullopt if the help was requested and printed. \throws wrong_usage
[[nodiscard]] std::optional<flags> parse_flags(int count, char const* const* words);

}  // namespace check_trace
