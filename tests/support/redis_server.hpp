#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace idempo::tests {

/// Of this machine; nobody holds it.
[[nodiscard]] std::uint16_t free_port();

/// A redis-server of the test's own, on a free port and a unix socket, with its data in a directory of its own. Both
/// are gone when this object is. The system's server is never used.
class redis_server {
public:
    /// Starts it without persistence unless `flags`, as on its command line, say otherwise; waits until it answers.
    /// \param configuration where not empty, the first content of a file that it may write to, as a sentinel does
    explicit redis_server(std::vector<std::string> flags = {}, std::string const& configuration = {});
    redis_server(redis_server const&) = delete;
    redis_server& operator=(redis_server const&) = delete;
    ~redis_server();

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    [[nodiscard]] std::string unix_path() const { return directory_ + "/socket"; }
    [[nodiscard]] std::string const& directory() const noexcept { return directory_; }
    [[nodiscard]] std::string url() const { return "redis://127.0.0.1:" + std::to_string(port_); }

    /// What it has logged so far.
    [[nodiscard]] std::string log() const;

    void send_signal(int signal) const;

    /// kill -9, and wait for the end.
    void kill();

    /// More words for its command line, from the next `start` on.
    void add_flags(std::vector<std::string> const& more);

    /// After `kill`: on the same port, with the data that is on disk. Waits until it answers, unless told not to.
    void start(bool waits = true);

    /// Asks over a connection of its own, and returns the reply as redis-cli prints it: elements of an array by spaces.
    /// \throws std::runtime_error where there is no answer; an error reply is returned
    std::string ask(std::initializer_list<std::string_view> words) const;

private:
    void wait_until_ready() const;

    std::vector<std::string> flags_;
    std::string directory_;
    std::string configuration_path_;  // empty where there is none
    std::uint16_t port_ = 0;
    ::pid_t process_ = -1;
};

/// The value of `name:` in an answer to INFO.
[[nodiscard]] std::string info_field(std::string_view info, std::string_view name);

}  // namespace idempo::tests
