// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/connection/binary_parameters.hpp>
#include <idempo/postgres/connection/libpq_connect.hpp>
#include <idempo/postgres/connection/prepared_statements.hpp>
#include <idempo/postgres/connection/result.hpp>
#include <idempo/postgres/connection/statement_io.hpp>

#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace idempo::postgres {

/// Ends what a thread waits for, from another one. The number of a socket that has been closed may soon be another
/// file's: hence the lock, and `release` before it is closed.
class socket_guard {
public:
    void watch(int socket);
    void release();
    /// Whatever the socket is used for returns at once, with an error.
    void shut_down();

private:
    std::mutex mutex_;
    std::optional<int> socket_;
};

/// A connection that carries out one statement at a time, each in a transaction of its own, read committed.
/// Leaves no state in a session that is a pooler's.
class connection {
public:
    /// \param guard outlives the connection
    /// \param timeout of each statement
    connection(libpq_connection made, socket_guard& guard, std::chrono::milliseconds timeout);
    connection(connection const&) = delete;
    connection& operator=(connection const&) = delete;
    ~connection();

    /// \throws statement_failure
    [[nodiscard]] result execute(std::string const& text, binary_parameters const& parameters);

    /// Makes the session ready, as `prepared_statements::set_up`. \throws statement_failure where the connection is
    /// lost
    void set_up();

    /// Whether the server can read a part of a table by where it lies, without a walk through all of it.
    [[nodiscard]] bool reads_pages() const noexcept;

    /// Which of the server's processes serves it.
    [[nodiscard]] server_process process() const { return process_; }

    /// Asks which of them have ended. \throws statement_failure
    void forget_ended(std::vector<server_process>& late);

    /// A firewall may have forgotten a connection that was idle, or its server may have ended it. Returns false where
    /// it cannot be used any more; where it may have been forgotten, that costs a quarter of the timeout.
    [[nodiscard]] bool is_alive();

private:
    [[nodiscard]] result execute_in_transaction(std::string const& text, binary_parameters const& parameters);
    void run(std::string const& script);
    [[nodiscard]] std::chrono::steady_clock::time_point deadline() const;

    socket_guard& guard_;
    libpq_connection connection_;
    std::chrono::milliseconds timeout_;
    server_process process_;
    std::chrono::steady_clock::time_point last_used_;
    prepared_statements prepared_;
    bool states_isolation_ = false;
};

}  // namespace idempo::postgres
