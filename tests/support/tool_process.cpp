// SPDX-License-Identifier: MIT
#include "support/tool_process.hpp"

#include "support/temporary_server.hpp"

#include <cstdlib>
#include <filesystem>

#include <sys/wait.h>

namespace idempo::tests {

tool_result run_tool(std::string const& environment, std::string const& command) {
    auto const directory = make_server_directory("tool");
    auto const whole =
        "( export " + environment + "; " + command + " ) </dev/null >" + directory + "/out 2>" + directory + "/err";
    int const status = std::system(whole.c_str());  // NOLINT(concurrency-mt-unsafe): one at a time in a test
    tool_result result{WIFEXITED(status) ? WEXITSTATUS(status) : -1, content_of(directory + "/out"),
                       content_of(directory + "/err")};
    std::filesystem::remove_all(directory);
    return result;
}

}  // namespace idempo::tests
