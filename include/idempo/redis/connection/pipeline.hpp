#pragma once

#include <idempo/redis/protocol/operation.hpp>
#include <idempo/redis/protocol/redirection.hpp>

#include <idempo/error.hpp>
#include <idempo/identifiers.hpp>
#include <idempo/redis/options.hpp>

#include <boost/intrusive/list.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace idempo::redis {

/// An operation that another server has to answer.
struct misdirected_operation {
    std::unique_ptr<operation> misdirected;
    redirection where;
};

/// The operations of one connection: what to send next, whose reply comes next, and which operations have timed out. It
/// does no I/O. Not thread-safe: call it from the connection's strand.
///
/// Each reply belongs to the oldest command without one; that is all that ties them together. So an operation that has
/// timed out keeps its place, and its late reply is dropped. An operation may need a second command (the script after
/// the first step, the source after NOSCRIPT), and another of the same key must not run between the two: it is held
/// back for as long as the first may ask again. One that has timed out asks nothing more, and holds back nobody, so
/// that its Abandon can follow right behind it.
///
/// Where replicas are waited for, a WAIT follows when records have been written, and their operations are told only
/// when it has been answered. It is not sent along with them: while it waits nothing else is answered, and most claims
/// of retries write nothing.
class pipeline {
public:
    /// \param places that are taken, by an operation or by a command whose reply nobody waits for. The caller counts an
    /// operation in, the pipeline counts it out. Must outlive the pipeline.
    pipeline(std::chrono::milliseconds timeout, std::atomic<std::size_t>& places, redis_replica_wait replicas = {})
        : timeout_(timeout),
          places_(places),
          replicas_(replicas) {}

    void submit(std::unique_ptr<operation> submitted, time_point now);

    /// Appends the commands that can be sent. From then on they wait for their replies.
    void send(std::string& to, server_abilities abilities, time_point now);

    /// The next reply. False: the connection must not be used again.
    [[nodiscard]] bool receive(reply_view answer);

    /// Those that the server has sent elsewhere since the last call. They are no longer of this pipeline.
    [[nodiscard]] std::vector<misdirected_operation> take_misdirected();

    /// Those that need not be sent here: all that wait, but for those behind one of their key that was sent. They are
    /// no longer of this pipeline.
    [[nodiscard]] std::vector<std::unique_ptr<operation>> take_unsent();

    /// Whether the server has said since the last call that its cluster is down: it may be cut off from the rest.
    [[nodiscard]] bool take_cluster_down() { return std::exchange(is_cluster_down_, false); }

    /// Tells those whose time is over, and whether there were any.
    bool expire(time_point now);

    /// Whether the oldest command has been without a reply for twice the timeout: then none is to be expected.
    [[nodiscard]] bool is_overdue(time_point now) const;

    /// When to call `expire` and `is_overdue` again, where there is anything to wait for.
    [[nodiscard]] std::optional<time_point> next_deadline() const;

    /// The connection is gone: what was sent fails, since nobody knows what became of it; what was not is kept.
    void disconnect();

    /// All fail, sent or not.
    void fail_all(error_code error);

private:
    using queue = std::deque<std::unique_ptr<operation>>;
    using by_age = boost::intrusive::list<operation, boost::intrusive::constant_time_size<false>>;

    /// The next that can be sent and that somebody waits for; null where there is none.
    [[nodiscard]] std::unique_ptr<operation> take_ready();
    void wait_for_replicas(std::string& to, server_abilities abilities, time_point now);
    void send_own(std::unique_ptr<operation> own, std::string& to, server_abilities abilities, time_point now);
    static void queue_by_age(std::unique_ptr<operation> submitted, queue& line);
    void send_away(std::unique_ptr<operation> misdirected, redirection where);
    void settle_written(std::size_t count, bool is_replicated);
    void settle(operation& answered);
    void settle_with(operation& failed, error_code error);
    void release(store_key const& key);
    void drop(std::unique_ptr<operation> dropped);

    std::chrono::milliseconds timeout_;
    std::atomic<std::size_t>& places_;
    redis_replica_wait replicas_;
    /// Sent, without a reply yet, in the order of sending.
    queue sent_;
    queue ready_;
    /// Answered, and not yet known to be with the replicas; the last few no WAIT has been sent for.
    queue written_;
    std::size_t uncovered_ = 0;
    std::vector<misdirected_operation> misdirected_;
    bool is_cluster_down_ = false;
    /// The keys of operations that have not been settled, sent or ready; and who waits behind them, if anybody does.
    std::unordered_map<store_key, std::unique_ptr<queue>, identifier_hash> busy_keys_;
    /// Not settled, wherever they are; the oldest is the first.
    by_age unsettled_;
};

}  // namespace idempo::redis
