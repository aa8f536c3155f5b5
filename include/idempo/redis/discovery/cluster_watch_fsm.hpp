// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/backoff.hpp>
#include <idempo/redis/protocol/operation.hpp>
#include <idempo/redis/protocol/slot_map.hpp>

#include <idempo/redis/options.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <random>
#include <utility>
#include <variant>
#include <vector>

namespace idempo::redis {

/// When to ask which nodes of a cluster for the slots, and whom to believe. It does no I/O and reads no clock: each
/// event brings its time, and what has to be done is taken as actions. Not thread-safe.
///
/// A node may be wrong, or cut off from the others. So it is asked in turn with the rest, those that were silent last,
/// until one knows the primaries of all slots; else what the best of them says has to do.
class cluster_watch_fsm {
public:
    /// In one question, however large the cluster is.
    static constexpr std::size_t max_asked = 16;

    /// \name Actions
    /// @{
    /// Ask these one after the other, until `accept` takes an answer; then `on_answer`.
    struct ask {
        std::vector<redis_endpoint> nodes;
    };
    /// The slots are so now.
    struct tell {
        slot_map map;
    };
    /// Who waits for a primary gets this one, or the problem.
    struct serve_waiting {
        redis_problem problem = redis_problem::none;
        redis_endpoint primary;
    };
    /// No node has told which node has which slots: to the observer.
    struct tell_unknown {};
    using action = std::variant<ask, tell, serve_waiting, tell_unknown>;
    /// @}

    /// \param seeds not empty
    cluster_watch_fsm(std::vector<redis_endpoint> seeds, std::chrono::milliseconds connect_timeout,
                      std::random_device::result_type seed)
        : seeds_(std::move(seeds)),
          connect_timeout_(connect_timeout),
          backoff_(seed) {}

    /// \name Events
    /// @{
    void start(time_point now);
    /// A node may be gone or cut off.
    void on_doubt(redis_endpoint const& node, time_point now);
    /// The map is wrong about slots that this node has.
    void on_moved(redis_endpoint const& node, time_point now);
    /// Slots are missing in the map.
    void on_gap(time_point now);
    /// Somebody waits for a primary.
    void on_wanted(time_point now);
    /// What a node has answered. True: it will do, and no other is asked.
    [[nodiscard]] bool accept(slot_map found);
    /// The question is over. \param answered_by the node whose answer was accepted; empty where there was none
    void on_answer(std::optional<redis_endpoint> const& answered_by, time_point now);
    /// To be called at `next_time` at the latest; any time earlier does no harm.
    void on_time(time_point now);
    /// Nothing happens any more.
    void end();
    /// @}

    /// What has to be done, in this order, since the last call.
    [[nodiscard]] std::vector<action> take_actions() { return std::exchange(actions_, {}); }

    /// When `on_time` has something to do.
    [[nodiscard]] std::optional<time_point> next_time() const {
        return state_ == state::pausing ? std::optional(not_before_) : std::nullopt;
    }

private:
    enum class state {
        idle,     ///< there is nothing to ask
        pausing,  ///< until the next question
        asking,
        ended,
    };
    struct silent_node {
        redis_endpoint endpoint;
        time_point since;
    };

    void ask_soon(time_point now);
    void begin_question(time_point now);
    [[nodiscard]] std::vector<redis_endpoint> all_in_turn(time_point now);
    [[nodiscard]] std::vector<redis_endpoint> whom_to_ask(time_point now);
    void extend_search(time_point now);
    void remember_silence(redis_endpoint const& node, time_point now);
    [[nodiscard]] bool is_silent(redis_endpoint const& node, time_point now) const;
    void serve();
    void act(action wanted) { actions_.push_back(std::move(wanted)); }

    std::vector<redis_endpoint> seeds_;
    std::chrono::milliseconds connect_timeout_;
    state state_ = state::idle;
    std::optional<slot_map> known_;
    std::optional<slot_map> best_;  // of the answers to the present question
    std::vector<redis_endpoint> asked_;
    std::optional<redis_endpoint> first_;  // to be asked next time
    std::size_t turn_ = 0;
    std::vector<silent_node> silent_;
    bool asks_again_ = false;
    detail::backoff backoff_;
    time_point not_before_{};
    time_point search_ends_{};
    std::vector<action> actions_;
};

}  // namespace idempo::redis
