// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/connection/connection_fsm.hpp>
#include <idempo/redis/connection/machine_runner.hpp>
#include <idempo/redis/connection/pipeline.hpp>
#include <idempo/redis/connection/server_resolver.hpp>
#include <idempo/redis/connection/transport.hpp>
#include <idempo/redis/protocol/operation.hpp>

#include <idempo/redis/options.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace idempo::redis {

/// What the connections of a store have in common, and read only.
struct connection_setup {
    redis_options options;
    /// Null where the options want no TLS.
    std::shared_ptr<tls_setup> tls;
    /// Not null.
    std::shared_ptr<name_resolver> names;

    /// To the observer, where there is one.
    void report(redis_event const& event) const noexcept;
};

/// A connection to the server that is made again whenever it is lost, and the operations that go over it. The machine
/// decides everything; this is its socket, its timer and its clock.
///
/// Everything happens on a strand, but `start`, `submit`, `move_to` and `end`, which any thread may call. An
/// operation waits for the end of one attempt to connect at most: if that fails, so does the operation.
class connection : public std::enable_shared_from_this<connection>, private machine_runner<connection, connection_fsm> {
public:
    connection(asio::any_io_executor const& executor, std::shared_ptr<connection_setup const> setup,
               std::shared_ptr<server_resolver> finds);

    /// Begins to connect, as if by post.
    void start();

    /// Settles the operation sooner or later, and never before it returns.
    void submit(std::unique_ptr<operation> submitted);

    /// As `connection_fsm::move_to`.
    void move_to(redis_endpoint const& server);

    /// As `end`, but what has not been sent yet is given to `elsewhere`, on the strand: the server has no keys any
    /// more.
    void hand_over(std::function<void(std::unique_ptr<operation>)> elsewhere);

    /// Nothing is submitted from now on: what is pending is still answered, and then the connection is closed.
    void end();

private:
    using fsm = connection_fsm;
    using runner = machine_runner<connection, connection_fsm>;
    friend runner;

    void take_submitted();
    void flush();
    [[nodiscard]] bool write_rest();
    void read_more(std::uint64_t attempt);

    /// \name What the machine wants done
    /// @{
    void perform(fsm::find_server const& wanted);
    void perform(fsm::dial const& wanted);
    void perform(fsm::hang_up const& wanted);
    void perform(fsm::tell const& wanted);
    void perform(fsm::doubt const& wanted);
    void perform(fsm::send_elsewhere& wanted);
    void perform(fsm::finish const& wanted);
    void on_dialled(std::uint64_t attempt, error_code error);
    /// @}

    std::shared_ptr<connection_setup const> setup_;
    std::shared_ptr<server_resolver> resolver_;  // null when the connection has ended
    std::mutex mutex_;
    std::vector<std::unique_ptr<operation>> submitted_;  // guarded by mutex_; the machine's load has them already

    // The rest is for the strand.
    std::vector<std::unique_ptr<operation>> spare_;  // empty: its memory changes places with that of submitted_
    std::array<char, std::size_t{64} * 1024> incoming_{};
    std::string outgoing_;
    std::string in_write_;
    bool is_writing_ = false;
};

}  // namespace idempo::redis
