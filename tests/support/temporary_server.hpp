#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

/// \file
/// What the tests' own servers have in common: a directory, a process, and a user that is not root.

namespace idempo::tests {

/// A new directory. As root: of the user as whom the programs run.
[[nodiscard]] std::string make_server_directory(std::string const& name);

/// Starts a program that writes to `log_path` and dies with this process. As root: as another user, since servers
/// refuse to be root.
[[nodiscard]] ::pid_t launch(std::vector<std::string> words, std::string const& log_path);

/// What a shell command prints.
[[nodiscard]] std::string output_of(std::string const& command);

[[nodiscard]] std::string content_of(std::string const& path);

}  // namespace idempo::tests
