// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace idempo::tests {

/// For `ask`: how many statements wait for a lock.
inline constexpr char const* count_of_lock_waits =
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";

/// A PostgreSQL server of its own, on a unix socket in a temporary directory, with the table of the store. Data and
/// process are gone when this object is. The system's server is never used. Works for root, too, as another user.
class postgres_server {
public:
    /// \param settings as in postgresql.conf: `name=value`
    explicit postgres_server(std::vector<std::string> const& settings = {});

    /// A streaming standby with everything that the primary has now. Read-only until it is promoted.
    struct standby_of {
        postgres_server const& primary;
    };
    explicit postgres_server(standby_of of);

    postgres_server(postgres_server const&) = delete;
    postgres_server& operator=(postgres_server const&) = delete;
    ~postgres_server();

    /// A libpq connection string.
    [[nodiscard]] std::string connection() const;
    [[nodiscard]] std::string const& directory() const noexcept { return directory_; }
    /// Its log so far.
    [[nodiscard]] std::string log() const;

    /// The id of its System V segment; -1 before its first start.
    [[nodiscard]] int shared_memory() const;

    /// To the server and all its processes.
    void send_signal(int signal) const;

    /// kill -9 of all its processes, and waits for their end.
    void kill();

    /// After `kill`, with the data on disk. Waits until it answers.
    void start();

    /// `name=value`, from the next `start` on.
    void set(std::string_view setting);

    /// Runs a statement over a connection of its own, and returns the first field of the result.
    std::string ask(std::string const& sql) const;

    /// Makes a standby a primary.
    void promote() const;

private:
    [[nodiscard]] std::vector<::pid_t> processes() const;

    std::string directory_;
    ::pid_t process_ = -1;
};

}  // namespace idempo::tests
