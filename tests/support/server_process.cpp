// SPDX-License-Identifier: MIT
#include "support/server_process.hpp"

#include "support/poll_until.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string>
#include <system_error>
#include <utility>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace idempo::tests {

namespace {

int memory_file(char const* name) {
    auto const file = ::memfd_create(name, MFD_CLOEXEC);
    if (file < 0) throw std::system_error(errno, std::generic_category(), name);
    return file;
}

std::string contents(int file) {
    std::string text;
    std::array<char, 4096> part{};
    while (true) {
        auto const size = ::pread(file, part.data(), part.size(), static_cast<::off_t>(text.size()));
        if (size <= 0) return text;
        text.append(part.data(), static_cast<std::size_t>(size));
    }
}

/// Between fork and exec only async-signal-safe calls are allowed: no allocation, so the arguments are ready.
[[noreturn]] void become(char* const* arguments, int output, int errors) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(errors, STDERR_FILENO);
    ::execv(arguments[0], arguments);
    ::_exit(127);
}

/// The port in "listening on http://127.0.0.1:8080", once the whole line is there.
std::uint16_t announced_port(std::string const& output) {
    auto const line = output.find("listening on http://");
    auto const end = output.find('\n', line);
    if (line == std::string::npos || end == std::string::npos) return 0;
    return static_cast<std::uint16_t>(std::stoi(output.substr(output.rfind(':', end) + 1, end)));
}

}  // namespace

server_process::server_process(std::vector<std::string> flags, std::string program)
    : output_(memory_file("output")),
      errors_(memory_file("errors")) {
    std::vector<std::string> words{std::move(program)};
    // A test's own --port comes instead of ours.
    bool const has_port = std::find(flags.begin(), flags.end(), "--port") != flags.end();
    if (!has_port) words.insert(words.end(), {"--port", "0"});
    words.insert(words.end(), flags.begin(), flags.end());
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);

    process_ = ::fork();
    if (process_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (process_ == 0) become(arguments.data(), output_, errors_);
    poll_until([this] { return (port_ = announced_port(output())) != 0 || has_ended(); });
}

server_process::~server_process() {
    if (!has_ended()) {
        ::kill(process_, SIGKILL);
        ::waitpid(process_, nullptr, 0);
    }
    auto const report = errors();
    ::close(output_);
    ::close(errors_);
    if (report.find("Sanitizer") == std::string::npos) return;
    std::cerr << report << std::flush;  // must not be lost, and a destructor cannot fail a test otherwise
    std::abort();
}

void server_process::send_signal(int signal) const { ::kill(process_, signal); }

int server_process::wait() {
    poll_until([this] { return has_ended(); });
    return exit_code_;
}

std::string server_process::output() const { return contents(output_); }

std::string server_process::errors() const { return contents(errors_); }

bool server_process::has_ended() {
    if (exit_code_ >= 0) return true;
    int status = 0;
    if (::waitpid(process_, &status, WNOHANG) != process_) return false;
    exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return true;
}

}  // namespace idempo::tests
