// SPDX-License-Identifier: MIT
#pragma once

#include "check_trace/checker.hpp"
#include "check_trace/input.hpp"

#include <iosfwd>
#include <string>
#include <vector>

namespace check_trace {

/// For a person.
void print(std::ostream& out, findings const& found, reading const& read, std::vector<std::string> const& files);
/// The same as one JSON object.
void print_json(std::ostream& out, findings const& found, reading const& read, std::vector<std::string> const& files);

}  // namespace check_trace
