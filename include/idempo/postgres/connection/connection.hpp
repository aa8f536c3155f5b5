#pragma once

#include <idempo/postgres/connection/binary_parameters.hpp>
#include <idempo/postgres/connection/libpq_connect.hpp>
#include <idempo/postgres/connection/pqxx_versions.hpp>

#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>

namespace idempo::postgres {

/// Why a statement failed.
struct statement_failure : std::runtime_error {
    statement_failure(std::string code, bool is_lost);

    /// As PostgreSQL names the error; empty where it did not.
    std::string sqlstate;
    /// The connection must not be used again, and it is unknown whether the statement was carried out.
    bool connection_lost;
};

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
/// Leaves no state in the session, so that it may be a pooler's.
class connection {
public:
    /// \param guard outlives the connection
    connection(libpq_connection made, socket_guard& guard);
    connection(connection const&) = delete;
    connection& operator=(connection const&) = delete;
    ~connection();

    /// \throws statement_failure
    [[nodiscard]] pqxx::result execute(std::string const& text, binary_parameters const& parameters);

private:
    [[nodiscard]] pqxx::result execute_in_transaction(std::string const& text, binary_parameters const& parameters);

    socket_guard& guard_;
    std::shared_ptr<pqxx_connection> connection_;
    bool states_isolation_ = false;
};

}  // namespace idempo::postgres
