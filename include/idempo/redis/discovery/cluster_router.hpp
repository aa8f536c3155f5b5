// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/connection/connection.hpp>
#include <idempo/redis/discovery/cluster_watch.hpp>
#include <idempo/redis/discovery/router.hpp>
#include <idempo/redis/protocol/redirection.hpp>
#include <idempo/redis/protocol/slot_map.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace idempo::redis {

/// For a Redis Cluster: each operation goes to the primary of its key's slot, over a connection that is made when it is
/// first used, and ends when the primary has no slots any more. What a node sends on goes where it says.
///
/// Operations of one key keep their order as long as their slot stays where it is. While it moves, one that was sent to
/// its old node may be overtaken by a later one; the scripts and tokens make that harmless.
///
/// Each operation keeps it alive: it may still be sent on when the client is gone.
class cluster_router final : public router, public std::enable_shared_from_this<cluster_router> {
public:
    cluster_router(asio::any_io_executor executor, std::shared_ptr<connection_setup const> setup);
    ~cluster_router() override;

    /// Begins to ask the nodes which of them has which slots. Operations wait for that as for a connection.
    void start();

    void submit(std::unique_ptr<operation> submitted) override;
    [[nodiscard]] bool takes_many_keys() const noexcept override { return false; }
    [[nodiscard]] std::optional<std::uint16_t> next_primary(std::uint16_t slot) const override;

    /// For the connections, on any thread.
    void redirect(std::unique_ptr<operation> redirected, redirection const& where);
    [[nodiscard]] cluster_watch& watch() const noexcept { return *watch_; }

private:
    using connection_ptr = std::shared_ptr<connection>;
    /// The router holds connections weakly: operations own the router, so a strong reference would be a cycle and leak
    /// when the io_context is destroyed.
    using weak_connection = std::weak_ptr<connection>;
    struct node {
        redis_endpoint endpoint;
        weak_connection target;
    };

    void use(slot_map const& map);
    [[nodiscard]] connection_ptr connection_for(operation const& submitted);
    [[nodiscard]] connection_ptr connection_to(redis_endpoint const& endpoint);
    [[nodiscard]] connection_ptr connection_to_primary(std::size_t number);
    [[nodiscard]] connection_ptr make_connection(redis_endpoint const& endpoint);

    asio::any_io_executor executor_;
    std::shared_ptr<connection_setup const> setup_;
    std::shared_ptr<cluster_watch> watch_;

    mutable std::mutex mutex_;  // guards the rest
    /// Until a map is known; operations wait in it.
    weak_connection seed_connection_;
    std::optional<slot_map> map_;
    /// To the primaries of the map, in its order; none until used.
    std::vector<weak_connection> connections_;
    /// Nodes that operations were sent on to, and that are not in the map.
    std::vector<node> others_;
};

}  // namespace idempo::redis
