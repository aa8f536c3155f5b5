// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <sys/types.h>

namespace idempo::tests {

/// An nginx of the test's own before several servers: if one fails it asks the next, POSTs included, which is safe for
/// requests with a key.
class nginx {
public:
    explicit nginx(std::vector<std::uint16_t> const& servers);
    nginx(nginx const&) = delete;
    nginx& operator=(nginx const&) = delete;
    ~nginx();

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

    /// Whether it is installed.
    [[nodiscard]] static bool is_there();

private:
    std::string directory_;
    std::uint16_t port_;
    ::pid_t process_ = -1;
};

}  // namespace idempo::tests
