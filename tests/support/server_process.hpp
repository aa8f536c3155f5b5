// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <sys/types.h>

namespace idempo::tests {

/// charge_server or another server as a process of its own, killed when this object ends. Its output goes to memory, so
/// it never waits for a reader.
class server_process {
public:
    /// Starts it with `--port 0` and the flags, and waits until it listens or has ended.
    explicit server_process(std::vector<std::string> flags, std::string program = IDEMPO_CHARGE_SERVER);
    server_process(server_process const&) = delete;
    server_process& operator=(server_process const&) = delete;
    ~server_process();

    /// 0 if it ended instead of listening.
    [[nodiscard]] std::uint16_t port() const { return port_; }

    void send_signal(int signal) const;

    /// Waits for its end. Returns its exit code, or 128 and the signal that killed it.
    /// \throws std::runtime_error if it does not end in time.
    int wait();

    /// Its output so far.
    [[nodiscard]] std::string output() const;
    [[nodiscard]] std::string errors() const;

private:
    bool has_ended();

    int output_ = -1;
    int errors_ = -1;
    ::pid_t process_ = -1;
    std::uint16_t port_ = 0;
    int exit_code_ = -1;
};

}  // namespace idempo::tests
