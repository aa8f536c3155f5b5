// SPDX-License-Identifier: MIT
#include "support/temporary_server.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <system_error>

#include <fcntl.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace idempo::tests {

namespace {

/// The user that root becomes: the one of Debian's package, or nobody. Null for other users.
::passwd const* another_user() {
    static ::passwd const* const found = [] {
        auto const* const postgres = ::getpwnam("postgres");
        return postgres != nullptr ? postgres : ::getpwnam("nobody");
    }();
    return ::geteuid() == 0 ? found : nullptr;
}

/// Between fork and exec only async-signal-safe calls are allowed, so everything else is prepared before.
[[noreturn]] void become(char* const* arguments, int log, ::passwd const* user, int last_signal) {
    if (user != nullptr && (::setgid(user->pw_gid) != 0 || ::setuid(user->pw_uid) != 0)) ::_exit(126);
    ::prctl(PR_SET_PDEATHSIG, last_signal);  // with the thread that started it, so that it does not outlive its test
    ::dup2(log, STDOUT_FILENO);
    ::dup2(log, STDERR_FILENO);
    ::execvp(arguments[0], arguments);
    ::_exit(127);
}

}  // namespace

std::string make_server_directory(std::string const& name) {
    auto path = (std::filesystem::temp_directory_path() / ("idempo-" + name + "-XXXXXX")).string();
    if (::mkdtemp(path.data()) == nullptr) throw std::system_error(errno, std::generic_category(), "mkdtemp");
    if (auto const* const user = another_user()) {
        if (::chown(path.c_str(), user->pw_uid, user->pw_gid) != 0) {
            throw std::system_error(errno, std::generic_category(), "chown");
        }
    }
    return path;
}

::pid_t launch(std::vector<std::string> words, std::string const& log_path, int last_signal) {
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    auto const* const user = another_user();
    auto const log = ::open(log_path.c_str(), O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0600);
    auto const process = ::fork();
    if (process == 0) become(arguments.data(), log, user, last_signal);
    ::close(log);
    if (process < 0) throw std::system_error(errno, std::generic_category(), "fork");
    return process;
}

std::string output_of(std::string const& command) {
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> const pipe(::popen(command.c_str(), "r"), ::pclose);
    std::string output;
    std::array<char, 4096> part{};
    while (std::fgets(part.data(), part.size(), pipe.get()) != nullptr) output += part.data();
    while (output.ends_with('\n')) output.pop_back();
    return output;
}

std::string content_of(std::string const& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace idempo::tests
