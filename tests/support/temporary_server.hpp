// SPDX-License-Identifier: MIT
#pragma once

#include <csignal>
#include <string>
#include <vector>

#include <sys/types.h>

/// \file
/// Shared by the tests' own servers: a directory, a process, and a user that is not root.

namespace idempo::tests {

/// A new directory. For root: owned by the user who runs the programs.
[[nodiscard]] std::string make_server_directory(std::string const& name);

/// Starts a program that writes to `log_path` and gets `last_signal` when this process ends. For root: as another user,
/// since servers refuse to run as root.
[[nodiscard]] ::pid_t launch(std::vector<std::string> words, std::string const& log_path, int last_signal = SIGKILL);

/// The output of a shell command.
[[nodiscard]] std::string output_of(std::string const& command);

[[nodiscard]] std::string content_of(std::string const& path);

}  // namespace idempo::tests
