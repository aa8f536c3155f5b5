// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace idempo::tests {

/// How a shell command has ended.
struct tool_result {
    int exit_code = -1;
    std::string output;
    std::string errors;
};

/// Runs a command of the shell, without a terminal, to its end. `environment` stands before it: `A=1 B=2`, quoted.
[[nodiscard]] tool_result run_tool(std::string const& environment, std::string const& command);

}  // namespace idempo::tests
