// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/backoff.hpp>
#include <idempo/redis/connection/handshake.hpp>
#include <idempo/redis/connection/pipeline.hpp>
#include <idempo/redis/protocol/operation.hpp>
#include <idempo/redis/protocol/resp_codec.hpp>

#include <idempo/error.hpp>
#include <idempo/redis/options.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace idempo::redis {

/// What a connection does next: where to connect to, when, and what follows from all that happens to it. It does no I/O
/// and reads no clock: each event brings its time, and what has to be done is taken as actions. Not thread-safe.
///
/// An *attempt* is everything from asking where the server is to the end of that connection. Actions carry its number,
/// and so do the events that they lead to; an event of an attempt that is over changes nothing.
class connection_fsm {
public:
    /// \name Actions
    /// @{
    /// Find out where the server is, then `on_found` or `on_failed`.
    struct find_server {
        std::uint64_t attempt = 0;
    };
    /// Connect, then `on_connected` or `on_failed`; then read, until `hang_up`.
    struct dial {
        std::uint64_t attempt = 0;
        redis_endpoint server;
    };
    /// Close what was dialled, if anything. What has been produced and not written is for nobody.
    struct hang_up {
        /// What was connected to did not work: another address of its name should come first next time.
        bool has_failed = false;
    };
    /// Tell the observer.
    struct tell {
        redis_event event;
    };
    /// The server may be gone, or the wrong one.
    struct doubt {
        redis_endpoint server;
    };
    /// The server says that another one has the key.
    struct send_elsewhere {
        redirected_operation operation;
    };
    /// There will be no more of them.
    struct finish {};
    using action = std::variant<find_server, dial, hang_up, tell, doubt, send_elsewhere, finish>;
    /// @}

    /// \param options must outlive it
    connection_fsm(redis_options const& options, std::random_device::result_type seed);
    connection_fsm(connection_fsm const&) = delete;
    connection_fsm& operator=(connection_fsm const&) = delete;

    /// \name Events
    /// @{
    void start(time_point now);
    void on_found(std::uint64_t attempt, redis_endpoint const& server, time_point now);
    /// \param login for AUTH
    void on_connected(std::uint64_t attempt, redis_credentials login, time_point now);
    void on_bytes(std::uint64_t attempt, std::string_view bytes, time_point now);
    /// What is under way has failed: finding the server, connecting, or the connection itself.
    /// \param problem `none` where it is for the machine to say which
    /// \param words for the observer
    void on_failed(std::uint64_t attempt, redis_problem problem, error_code error, time_point now,
                   std::string words = {});
    /// To be called at `next_time` at the latest; any time earlier does no harm.
    void on_time(time_point now);

    /// \pre `load()` has admitted it
    void submit(std::unique_ptr<operation> submitted, time_point now);
    /// The server is there now. Where the connection leads elsewhere, what was sent fails, and another attempt follows
    /// after a pause, since others are told at the same time; a short one, also where a longer one was under way.
    void move_to(redis_endpoint const& server, time_point now);
    /// Nothing is submitted from now on: what is pending is still answered.
    void end();
    /// As `pipeline::take_unsent`, when the server has no keys any more.
    [[nodiscard]] std::vector<std::unique_ptr<operation>> take_unsent();
    /// @}

    /// Appends what can be written now, until there are `max_bytes` or more.
    void produce(std::string& to, time_point now, std::size_t max_bytes);
    /// Whether `produce` would append something.
    [[nodiscard]] bool has_output() const noexcept;

    /// What has to be done, in this order, since the last call.
    [[nodiscard]] std::vector<action> take_actions() { return std::exchange(actions_, {}); }

    /// What it has taken on, and what will be submitted. Any thread may use it.
    [[nodiscard]] pending_load& load() noexcept { return load_; }

    /// When `on_time` has something to do; empty where only another event can change anything.
    [[nodiscard]] std::optional<time_point> next_time() const;

private:
    enum class state {
        pausing,   ///< until the next attempt
        finding,   ///< the server
        dialling,  ///< it
        greeting,  ///< it: the first questions are asked
        ready,     ///< operations are sent
        ended,
    };

    [[nodiscard]] bool is_current(std::uint64_t attempt) const noexcept { return attempt == attempt_; }
    void begin_attempt(time_point now);
    [[nodiscard]] bool read_greeting(time_point now);
    [[nodiscard]] bool read_answers(time_point now);
    void get_ready(handshake const& greeted, time_point now);
    void check_health(time_point now);
    void lose(redis_problem problem, error_code error, time_point now, std::string words = {});
    void pause(time_point now);
    void end_if_idle();
    void act(action wanted) { actions_.push_back(std::move(wanted)); }
    void report(redis_problem problem, error_code error, redis_server_info const& server, std::string words = {});

    redis_options const& options_;
    pending_load load_;
    state state_ = state::pausing;
    bool is_ending_ = false;
    std::uint64_t attempt_ = 0;
    redis_endpoint server_{.host = {}, .port = 0};  // of the last attempt
    std::optional<handshake> handshake_;
    std::string questions_;                 // of the handshake, until they are written
    std::unique_ptr<reply_reader> reader_;  // of the connection that there is
    server_abilities abilities_;
    pipeline pipeline_;
    detail::backoff backoff_;
    time_point ready_since_;
    /// The end of the pause, or of the time that an attempt has; empty when ready or ended.
    std::optional<time_point> attempt_due_;
    std::optional<time_point> health_due_;  // when ready
    std::vector<action> actions_;
};

}  // namespace idempo::redis
