// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace idempo::tests {

/// A free port of this machine.
[[nodiscard]] std::uint16_t free_port();

/// A redis-server of the test's own, on a free port and a unix socket, with its data in a directory of its own. Both
/// end with this object. The system's server is never used.
class redis_server {
public:
    /// Starts it, by default without persistence (`flags` are for its command line), and waits until it answers.
    /// \param configuration where not empty, the first content of a file that it may write to, as a sentinel does
    /// \param environment variables for it, as in "NAME=value"
    explicit redis_server(std::vector<std::string> flags = {}, std::string const& configuration = {},
                          std::vector<std::string> environment = {});
    redis_server(redis_server const&) = delete;
    redis_server& operator=(redis_server const&) = delete;
    ~redis_server();

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    [[nodiscard]] std::string unix_path() const { return directory_ + "/socket"; }
    [[nodiscard]] std::string const& directory() const noexcept { return directory_; }
    [[nodiscard]] std::string url() const { return "redis://127.0.0.1:" + std::to_string(port_); }

    /// Its log so far.
    [[nodiscard]] std::string log() const;

    void send_signal(int signal) const;

    /// kill -9, and waits for the end.
    void kill();

    /// More words for its command line, from the next `start` on.
    void add_flags(std::vector<std::string> const& more);

    /// After `kill`: on the same port, with the data on disk. Waits until it answers, unless told not to.
    void start(bool waits = true);

    /// Sends a command over a connection of its own. Returns the reply as redis-cli prints it, array elements by
    /// spaces. \throws std::runtime_error if there is no answer within `patience`; an error reply is returned
    std::string ask(std::initializer_list<std::string_view> words) const;

private:
    void wait_until_ready() const;

    std::vector<std::string> flags_;
    std::vector<std::string> environment_;
    std::string directory_;
    std::string configuration_path_;  // empty if there is none
    std::uint16_t port_ = 0;
    ::pid_t process_ = -1;
};

/// The value of `name:` in an answer to INFO.
[[nodiscard]] std::string info_field(std::string_view info, std::string_view name);

}  // namespace idempo::tests
