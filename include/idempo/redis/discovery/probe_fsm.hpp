// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/connection/transport.hpp>
#include <idempo/redis/protocol/operation.hpp>
#include <idempo/redis/protocol/resp_codec.hpp>

#include <idempo/redis/options.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace idempo::redis {

/// Something that any of several servers can tell, and how to ask them.
struct question {
    /// In the order in which they are asked.
    std::vector<redis_endpoint> servers;
    std::string user;
    std::string password;
    std::shared_ptr<tls_setup> tls;
    std::shared_ptr<name_resolver> names;
    /// The command.
    std::vector<std::string> words;
    /// For each of the servers, from connecting to the reply.
    std::chrono::milliseconds timeout{};
    std::size_t max_array_elements = reply_reader::default_max_array_elements;
};

/// Asks the servers one after the other, each on a connection of its own, until an answer will do. It does no I/O and
/// reads no clock: each event brings its time, and what has to be done is taken as actions. Not thread-safe.
///
/// Actions carry the number of the server, and so do the events that they lead to; an event of another one changes
/// nothing.
class probe_fsm {
public:
    /// Whether the reply will do; what it says has been kept then. An error reply, which may be one to AUTH, never
    /// will.
    using on_reply = std::function<bool(reply_view, redis_endpoint const& from)>;

    /// \name Actions
    /// @{
    /// Connect, then `on_connected` or `on_failed`; then read, until `hang_up`.
    struct dial {
        std::size_t server = 0;
        redis_endpoint endpoint;
    };
    /// All of it; `on_failed` where that fails.
    struct write {
        std::size_t server = 0;
        std::string bytes;
    };
    /// Close what was dialled.
    struct hang_up {};
    /// The last of all: the server whose reply will do; nothing where there is none.
    struct finish {
        std::optional<redis_endpoint> answered_by;
    };
    using action = std::variant<dial, write, hang_up, finish>;
    /// @}

    probe_fsm(question asked, on_reply accept) : asked_(std::move(asked)), accept_(std::move(accept)) {}

    [[nodiscard]] question const& asked() const noexcept { return asked_; }

    /// \name Events
    /// @{
    void start(time_point now);
    void on_connected(std::size_t server);
    void on_bytes(std::size_t server, std::string_view bytes, time_point now);
    void on_failed(std::size_t server, time_point now);
    /// To be called at `next_time` at the latest; any time earlier does no harm.
    void on_time(time_point now);
    /// Nothing happens any more, and nobody is told.
    void cancel();
    /// @}

    /// What has to be done, in this order, since the last call.
    [[nodiscard]] std::vector<action> take_actions() { return std::exchange(actions_, {}); }

    /// When `on_time` has something to do.
    [[nodiscard]] std::optional<time_point> next_time() const { return due_; }

private:
    enum class state {
        starting,
        dialling,  ///< the server with the number
        waiting,   ///< for its reply
        over,
    };

    [[nodiscard]] bool is_under_way() const noexcept { return state_ == state::dialling || state_ == state::waiting; }
    void ask(std::size_t server, time_point now);
    void give_up(time_point now);
    void end_with(std::optional<redis_endpoint> answered_by);
    void act(action wanted) { actions_.push_back(std::move(wanted)); }

    question asked_;
    on_reply accept_;
    state state_ = state::starting;
    std::size_t server_ = 0;
    std::size_t unanswered_ = 0;
    std::unique_ptr<reply_reader> reader_;
    std::optional<time_point> due_;
    std::vector<action> actions_;
};

}  // namespace idempo::redis
