// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/protocol/operation.hpp>
#include <idempo/redis/protocol/redirection.hpp>

#include <idempo/error.hpp>
#include <idempo/identifiers.hpp>
#include <idempo/redis/options.hpp>

#include <boost/intrusive/list.hpp>
#include <boost/unordered/unordered_flat_map.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <deque>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace idempo::redis {

/// An operation that another server has to answer.
struct redirected_operation {
    std::unique_ptr<operation> redirected;
    redirection where;
};

/// What a connection has taken on: operations, and commands of its own whose replies are due. Any thread may read it.
struct pending_load {
    std::atomic<std::size_t> operations{0};
    /// The sum of `operation::weight`.
    std::atomic<std::size_t> bytes{0};

    /// Adds the operation, unless that would be more than the options allow.
    [[nodiscard]] bool admit(operation const& submitted, redis_options const& limits);
};

/// The operations of one connection: what to send next, whose reply comes next, and which operations have timed out. It
/// does no I/O. Not thread-safe: call it from the connection's strand.
///
/// **Order.** Each reply belongs to the oldest command without one. So the operations of one key keep their order by
/// the order in which they are sent, and none waits for another's reply:
/// - An operation that has timed out keeps its place, and its late reply is dropped.
/// - A claim may need a second step. If another operation of its key is sent before its first reply, the second step is
///   sent just ahead of that operation, and the first reply is dropped. A claim that finds other operations of its key
///   pending skips the first step.
/// - After NOSCRIPT nothing is sent until everything that was sent has been answered; then the operations whose script
///   the server did not know follow in their order, and the first of them brings the source for all.
/// - Renew, Complete and Abandon overtake claims of other clients that wait because the connection is congested.
///
/// **Large records.** A claim that meets one is told so, and fetches it in a step of its own. Claims that want the same
/// record share one reply. Of large records, stored or fetched, some MiB are under way at a time, so that small
/// operations never wait for more. While they keep coming, those that wait for their turn do not time out.
///
/// **Replicas.** Where they are waited for, a WAIT follows when records have been written, and their operations are
/// told only when it has been answered. It is not sent along with them: while it waits the server answers nothing else,
/// and most claims of retries write nothing.
class pipeline {
public:
    static constexpr std::size_t no_limit = std::numeric_limits<std::size_t>::max();

    /// \param load The caller adds an operation to it, the pipeline subtracts it. Must outlive the pipeline.
    pipeline(std::chrono::milliseconds timeout, pending_load& load, redis_replica_wait replicas = {})
        : timeout_(timeout),
          load_(load),
          replicas_(replicas) {}

    void submit(std::unique_ptr<operation> submitted, time_point now);

    /// Appends the commands that can be sent, until `to` has `max_bytes` or more. They then wait for their replies.
    void send(std::string& to, server_abilities abilities, time_point now, std::size_t max_bytes = no_limit);

    /// Whether `send` would append something.
    [[nodiscard]] bool has_sendable() const noexcept;

    /// The next reply. False: stop using the connection.
    [[nodiscard]] bool receive(reply_view answer, time_point now);

    /// Those that the server has sent elsewhere since the last call. They no longer belong to this pipeline.
    [[nodiscard]] std::vector<redirected_operation> take_redirected();

    /// Those that need not be sent here: all that wait, except behind one of their key that was sent. They no longer
    /// belong to this pipeline.
    [[nodiscard]] std::vector<std::unique_ptr<operation>> take_unsent();

    /// Whether the server has said since the last call that its cluster is down: it may be cut off from the rest.
    [[nodiscard]] bool take_cluster_down() { return std::exchange(is_cluster_down_, false); }

    /// Fails those whose time is over. Returns whether there were any.
    bool expire(time_point now);

    /// Whether the oldest command has been without a reply for twice the timeout: none is to be expected then.
    [[nodiscard]] bool is_overdue(time_point now) const;

    /// When to call `expire` and `is_overdue` again; empty where nothing is pending.
    [[nodiscard]] std::optional<time_point> next_deadline() const;

    /// The connection is gone: what was sent fails, since nobody knows what became of it; what was not is kept.
    void disconnect();

    /// All fail, sent or not.
    void fail_all(error_code error);

private:
    struct asking_reply {};
    struct replica_reply {
        std::size_t covered = 0;
    };
    /// Of a first step whose claim has gone on to its second.
    struct superseded_reply {};
    using expected_reply = std::variant<std::unique_ptr<operation>, asking_reply, replica_reply, superseded_reply>;
    struct command {
        expected_reply expects;
        time_point sent_at;
        time_point deadline;
        std::size_t record_bytes = 0;
    };
    /// The operations of one key that have not been settled.
    struct key_state {
        std::size_t unsettled = 0;
        std::size_t unsent = 0;
        /// A claim that waits for the reply to its first step. At most one: the next finds the key busy.
        command* first_step = nullptr;
    };
    using queue = std::deque<std::unique_ptr<operation>>;
    /// Allocates nothing where it is empty, as it is for nearly every reply; a deque does.
    using sharers = std::vector<std::unique_ptr<operation>>;
    /// Those that want one large record: the first asks, and the others share its answer.
    struct shared_fetch {
        operation const* asks = nullptr;
        sharers others;
    };
    using by_age = boost::intrusive::list<operation, boost::intrusive::constant_time_size<false>>;

    void await(operation& submitted);
    [[nodiscard]] queue& line_of(operation const& submitted, key_state const& state);
    [[nodiscard]] bool may_overtake(operation const& submitted, key_state const& state) const;
    static void insert_by_age(std::unique_ptr<operation> submitted, queue& line);
    [[nodiscard]] bool is_too_late(operation const& unsent, time_point now) const;
    [[nodiscard]] std::unique_ptr<operation> take_from(queue& line, time_point now);
    [[nodiscard]] std::unique_ptr<operation> take_next(time_point now);
    [[nodiscard]] bool waits_for_scripts() const noexcept;
    [[nodiscard]] bool has_sendable_record() const noexcept;
    [[nodiscard]] std::unique_ptr<operation> take_large();
    void fetch(std::unique_ptr<operation> wanting);
    [[nodiscard]] bool is_shared(operation const& asks) const;
    [[nodiscard]] sharers end_fetch(operation const& asked);
    void fetch_again(sharers others);
    [[nodiscard]] time_point extended(operation const& waiting) const;
    void send_one(std::unique_ptr<operation> next, std::string& to, server_abilities abilities, time_point now);
    void send_second_step(command& first, std::string& to, server_abilities abilities, time_point now);
    void push(expected_reply expects, time_point now, time_point deadline, std::size_t record_bytes = 0);
    void send_own(expected_reply own, time_point now);

    [[nodiscard]] bool receive_for(std::unique_ptr<operation> asked, reply_view answer);
    [[nodiscard]] bool receive_for(asking_reply, reply_view answer);
    [[nodiscard]] bool receive_for(replica_reply asked, reply_view answer);
    [[nodiscard]] bool receive_for(superseded_reply, reply_view answer);

    void conclude(std::unique_ptr<operation> answered, reading outcome);
    void send_away(std::unique_ptr<operation> redirected, redirection where);
    void settle_written(std::size_t count, bool is_replicated);
    void settle(operation& answered);
    void settle_with(operation& failed, error_code error);
    void leave_key(operation const& settled);
    void release(operation const& dropped);
    void drop(std::unique_ptr<operation> dropped);
    template <class Line>
    void drop_all(Line& line);

    [[nodiscard]] bool waits_for_replicas() const noexcept { return replicas_.count > 0 || replicas_.on_disk; }

    std::chrono::milliseconds timeout_;
    pending_load& load_;
    redis_replica_wait replicas_;
    /// Sent, without a reply yet, in the order of sending. (References into a deque stay valid while it grows at the
    /// back and shrinks at the front.)
    std::deque<command> sent_;
    /// The source of the scripts has been sent since the last NOSCRIPT.
    bool has_sent_scripts_ = false;
    /// \name What `send` takes from, in this order
    /// @{
    queue unknown_;       ///< whose script the server did not know; the first not before `sent_` is empty
    queue second_steps_;  ///< claims whose first step left the answer open
    queue holders_;       ///< those that overtake
    queue large_;         ///< those that store or fetch a large record, as there is room
    queue ready_;
    /// @}
    std::unordered_map<store_key, shared_fetch, identifier_hash> fetches_;
    /// The bytes of large records that were sent or asked for, and not answered; and when the last one was.
    std::size_t moving_bytes_ = 0;
    time_point moved_at_ = time_point::min();
    /// Whether `send` has left something behind for want of room.
    bool is_congested_ = false;
    /// The quickest answer so far on this connection: nobody can expect a quicker one.
    std::optional<time_point::duration> quickest_;
    /// Answered, and not yet known to be with the replicas; no WAIT has been sent for the last `uncovered_` of them.
    queue written_;
    std::size_t uncovered_ = 0;
    std::vector<redirected_operation> redirected_;
    bool is_cluster_down_ = false;
    boost::unordered_flat_map<store_key, key_state, identifier_hash> keys_;
    /// Not settled, wherever they are; the oldest is the first.
    by_age unsettled_;
};

}  // namespace idempo::redis
