// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/backoff.hpp>
#include <idempo/redis/connection/handshake.hpp>
#include <idempo/redis/connection/pipeline.hpp>
#include <idempo/redis/connection/server_resolver.hpp>
#include <idempo/redis/connection/transport.hpp>
#include <idempo/redis/protocol/operation.hpp>
#include <idempo/redis/protocol/resp_codec.hpp>

#include <idempo/redis/options.hpp>

#include <boost/asio/steady_timer.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
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

/// A connection to the server that is made again whenever it is lost, and the operations that go over it.
///
/// Everything happens on a strand, but `start`, `submit`, `move_to` and `end`, which any thread may call. An
/// operation waits for the end of one attempt to connect at most: if that fails, so does the operation.
class connection : public std::enable_shared_from_this<connection> {
public:
    connection(asio::any_io_executor const& executor, std::shared_ptr<connection_setup const> setup,
               std::shared_ptr<server_resolver> finds);

    /// Begins to connect, as if by post.
    void start();

    /// Settles the operation sooner or later, and never before it returns.
    void submit(std::unique_ptr<operation> submitted);

    /// The server is there now: where the connection leads elsewhere, what was sent fails, and another attempt follows
    /// after a pause, since others are told at the same time; a short one, also where a longer one was under way.
    void move_to(redis_endpoint const& server);

    /// As `end`, but what has not been sent yet is given to `elsewhere`, on the strand: the server has no keys any
    /// more.
    void hand_over(std::function<void(std::unique_ptr<operation>)> elsewhere);

    /// Nothing is submitted from now on: what is pending is still answered, and then the connection is closed.
    void end();

private:
    [[nodiscard]] bool admits(operation const& submitted);

    using link = std::shared_ptr<transport>;
    /// `ready`: the server has introduced itself, and operations are sent.
    enum class state { pausing, connecting, ready, ended };

    void connect();
    void dial(redis_endpoint const& server);
    void greet();
    void read_more();
    void on_bytes(std::string_view bytes);
    [[nodiscard]] bool read_greeting();
    [[nodiscard]] bool read_answers();

    void take_submitted();
    void flush();
    [[nodiscard]] bool write_rest();

    void hand_on_redirected();

    void drop_link();
    void lose(redis_problem problem, error_code error);
    void pause();
    void end_if_idle();
    void report(redis_problem problem, error_code error, redis_server_info const& server, std::string words = {}) const;

    void watch_health();

    void watch_deadlines();
    void on_deadline();
    /// `then` runs when the time is over, unless the state of things has changed by then.
    template <class Then>
    void set_attempt_timer(std::chrono::milliseconds span, Then then);

    std::shared_ptr<connection_setup const> setup_;
    std::shared_ptr<server_resolver> resolver_;  // null when it has ended
    strand strand_;

    std::mutex mutex_;
    std::vector<std::unique_ptr<operation>> submitted_;  // guarded by mutex_
    pending_load load_;                                  // in the pipeline, and on its way there

    // The rest is for the strand.
    state state_ = state::pausing;
    bool is_ending_ = false;
    std::uint64_t attempt_ = 0;
    redis_endpoint server_;  // that of the last attempt
    link transport_;
    std::unique_ptr<reply_reader> reader_;  // of the connection that there is
    std::optional<handshake> handshake_;
    server_abilities abilities_;
    pipeline pipeline_;
    detail::backoff backoff_;
    time_point ready_since_;

    std::array<char, std::size_t{64} * 1024> incoming_{};
    std::string outgoing_;
    std::string in_write_;
    bool is_writing_ = false;

    asio::steady_timer deadline_timer_;
    asio::steady_timer attempt_timer_;
    asio::steady_timer health_timer_;
    bool watches_deadlines_ = false;
};

}  // namespace idempo::redis
