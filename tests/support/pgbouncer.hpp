// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include <sys/types.h>

namespace idempo::tests {

class postgres_server;

/// A pgbouncer of its own in transaction mode, before a server of the tests.
class pgbouncer {
public:
    /// \param server_connections so many it shares among all clients
    explicit pgbouncer(postgres_server const& server, int server_connections = 4);
    pgbouncer(pgbouncer const&) = delete;
    pgbouncer& operator=(pgbouncer const&) = delete;
    ~pgbouncer();

    /// A libpq connection string.
    [[nodiscard]] std::string connection() const;

private:
    std::string directory_;
    ::pid_t process_ = -1;
};

}  // namespace idempo::tests
