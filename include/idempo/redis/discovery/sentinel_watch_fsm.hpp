// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/backoff.hpp>
#include <idempo/redis/discovery/sentinel_protocol.hpp>
#include <idempo/redis/protocol/operation.hpp>
#include <idempo/redis/protocol/resp_codec.hpp>

#include <idempo/redis/options.hpp>

#include <cstddef>
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

/// Which sentinel to listen to, and what its messages mean. It does no I/O and reads no clock: each event brings its
/// time, and what has to be done is taken as actions. Not thread-safe.
///
/// Actions carry the number of an attempt to subscribe, and so do the events that they lead to; an event of an attempt
/// that is over changes nothing.
class sentinel_watch_fsm {
public:
    /// \name Actions
    /// @{
    /// Connect, then `on_connected` or `on_failed`; then read, until `hang_up`.
    struct dial {
        std::uint64_t attempt = 0;
        redis_endpoint sentinel;
    };
    /// All of it, then `on_written`.
    struct write {
        std::uint64_t attempt = 0;
        std::string bytes;
    };
    /// Ask this sentinel where the primary is, on a connection of its own, then `on_compared`. Instead of what was
    /// asked before.
    struct compare {
        std::uint64_t attempt = 0;
        std::size_t sentinel = 0;
    };
    /// Close what was dialled, and ask nothing more.
    struct hang_up {};
    /// The primary is there.
    struct tell {
        redis_endpoint primary;
    };
    /// No sentinel can be reached; said again only after one has been.
    struct tell_silence {};
    using action = std::variant<dial, write, compare, hang_up, tell, tell_silence>;
    /// @}

    sentinel_watch_fsm(std::shared_ptr<sentinel_group const> group, std::random_device::result_type seed)
        : group_(std::move(group)),
          backoff_(seed) {}

    /// \name Events
    /// @{
    void start(time_point now);
    void on_connected(std::uint64_t attempt, time_point now);
    void on_written(std::uint64_t attempt);
    void on_bytes(std::uint64_t attempt, std::string_view bytes, time_point now);
    /// \param primary empty where the sentinel has not said where it is
    void on_compared(std::uint64_t attempt, std::optional<redis_endpoint> const& primary, time_point now);
    void on_failed(std::uint64_t attempt, time_point now);
    /// To be called at `next_time` at the latest; any time earlier does no harm.
    void on_time(time_point now);
    /// Nothing happens any more.
    void end();
    /// @}

    /// What has to be done, in this order, since the last call.
    [[nodiscard]] std::vector<action> take_actions() { return std::exchange(actions_, {}); }

    /// When `on_time` has something to do.
    [[nodiscard]] std::optional<time_point> next_time() const { return due_; }

private:
    enum class state {
        pausing,      ///< until the next attempt
        dialling,     ///< a sentinel
        subscribing,  ///< to it: it has not confirmed that
        listening,    ///< to it
        ended,
    };

    [[nodiscard]] bool is_linked(std::uint64_t attempt) const noexcept {
        return attempt == attempt_ && (state_ == state::subscribing || state_ == state::listening);
    }
    void begin_attempt(time_point now);
    void listen(time_point now);
    void check_silence(time_point now);
    void send(std::string bytes);
    void give_up(time_point now);
    void act(action wanted) { actions_.push_back(std::move(wanted)); }

    std::shared_ptr<sentinel_group const> group_;
    state state_ = state::pausing;
    std::uint64_t attempt_ = 0;
    std::size_t sentinel_ = 0;  // the number of the one that is listened to
    std::size_t failures_ = 0;  // since one would do
    std::unique_ptr<reply_reader> reader_;
    bool is_writing_ = false;
    bool is_heard_ = false;  // since the last look
    detail::backoff backoff_;
    time_point subscribed_since_;
    /// The end of the pause, or the time by which something must have been heard.
    std::optional<time_point> due_;
    std::vector<action> actions_;
};

}  // namespace idempo::redis
