// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/backoff.hpp>
#include <idempo/redis/connection/connection.hpp>
#include <idempo/redis/connection/server_resolver.hpp>
#include <idempo/redis/discovery/probe.hpp>
#include <idempo/redis/protocol/slot_map.hpp>

#include <idempo/redis/options.hpp>

#include <boost/asio/steady_timer.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace idempo::redis {

/// Finds out which node has which slots: at the start, when a node says that another one has them, and again and again
/// while there is doubt about one, with pauses of 10 to 500 ms: half of those between attempts to connect.
///
/// A node may be wrong, or cut off from the others. So it is asked in turn with the rest, those that were silent last,
/// until one knows the primaries of all slots; else what the best of them says has to do.
///
/// Any thread may call the members. What is found is told on a strand of its own.
class cluster_watch : public std::enable_shared_from_this<cluster_watch> {
public:
    using on_map = std::function<void(slot_map const&)>;

    cluster_watch(asio::any_io_executor const& executor, std::shared_ptr<connection_setup const> setup, on_map tell);

    void start();
    void end();

    /// A node may be gone or cut off.
    void report_failure(redis_endpoint const& node);

    /// The map is wrong about slots that this node has.
    void report_moved(redis_endpoint const& node);

    /// Slots are missing in the map.
    void report_gap();

    /// As `server_resolver::resolve`: some primary, as soon as one is known.
    void resolve(strand const& executor, server_resolver::on_resolved done);

private:
    struct silent_node {
        redis_endpoint endpoint;
        time_point since;
    };
    struct waiting_connection {
        strand executor;
        server_resolver::on_resolved done;
    };

    /// Runs it on the strand, unless this has ended by then.
    template <class Then>
    void post(Then then);

    void ask_soon();
    void ask();
    [[nodiscard]] std::vector<redis_endpoint> whom_to_ask();
    void on_answer(std::vector<redis_endpoint> const& asked, std::optional<redis_endpoint> const& answered_by);
    void extend_search();
    void remember_silence(redis_endpoint const& node);
    [[nodiscard]] bool is_silent(redis_endpoint const& node) const;
    void tell_waiting();

    std::shared_ptr<connection_setup const> setup_;
    on_map tell_;
    strand strand_;

    // The rest is for the strand.
    bool has_ended_ = false;
    std::optional<slot_map> known_;
    std::optional<slot_map> best_;  // of the answers to the probe that goes on
    std::shared_ptr<probe> probe_;
    std::optional<redis_endpoint> first_;  // to be asked next time
    std::size_t turn_ = 0;
    std::vector<silent_node> silent_;
    std::vector<waiting_connection> waiting_;
    bool asks_again_ = false;
    bool is_pausing_ = false;
    detail::backoff backoff_;
    time_point not_before_{};
    time_point search_ends_{};
    asio::steady_timer timer_;
};

}  // namespace idempo::redis
