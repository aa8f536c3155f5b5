// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/connection/connection.hpp>
#include <idempo/redis/connection/machine_runner.hpp>
#include <idempo/redis/connection/server_resolver.hpp>
#include <idempo/redis/discovery/cluster_watch_fsm.hpp>
#include <idempo/redis/discovery/probe.hpp>
#include <idempo/redis/protocol/slot_map.hpp>

#include <functional>
#include <memory>
#include <vector>

namespace idempo::redis {

/// Finds out which node has which slots: at the start, when a node says that another one has them, and again and again
/// while there is doubt about one, with pauses of 10 to 500 ms: half of those between attempts to connect. The machine
/// decides everything; this is its clock, and asks.
///
/// Any thread may call the members. What is found is told on a strand of its own.
class cluster_watch : public std::enable_shared_from_this<cluster_watch>,
                      private machine_runner<cluster_watch, cluster_watch_fsm> {
public:
    using on_map = std::function<void(slot_map const&)>;

    cluster_watch(asio::any_io_executor const& executor, std::shared_ptr<connection_setup const> setup, on_map tell);

    void start();
    void end();

    /// \name As the events of the machine
    /// @{
    void report_failure(redis_endpoint const& node);
    void report_moved(redis_endpoint const& node);
    void report_gap();
    /// @}

    /// As `server_resolver::resolve`: some primary, as soon as one is known.
    void resolve(strand const& executor, server_resolver::on_resolved done);

private:
    using fsm = cluster_watch_fsm;
    using runner = machine_runner<cluster_watch, cluster_watch_fsm>;
    friend runner;

    struct waiting_connection {
        strand executor;
        server_resolver::on_resolved done;
    };

    /// Tells the machine of an event, on the strand.
    template <class Event>
    void post(Event event);

    void perform(fsm::ask const& wanted);
    void perform(fsm::tell const& wanted);
    void perform(fsm::serve_waiting const& wanted);
    void perform(fsm::tell_unknown const& wanted);
    void flush() {}

    std::shared_ptr<connection_setup const> setup_;
    on_map tell_;

    // The rest is for the strand.
    std::shared_ptr<probe> probe_;
    std::vector<waiting_connection> waiting_;
};

}  // namespace idempo::redis
