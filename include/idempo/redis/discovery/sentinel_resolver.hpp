// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/connection/server_resolver.hpp>
#include <idempo/redis/discovery/sentinel_protocol.hpp>

#include <atomic>
#include <cstddef>
#include <memory>

namespace idempo::redis {

/// Asks the sentinels where the primary is, one after the other, first the one that has answered last. What they say
/// may be old: whether the server that they name is a primary, the handshake of the connection finds out.
class sentinel_resolver final : public server_resolver, public std::enable_shared_from_this<sentinel_resolver> {
public:
    explicit sentinel_resolver(std::shared_ptr<sentinel_group const> group) : group_(std::move(group)) {}

    void resolve(strand const& executor, on_resolved done) override;

    /// The sentinel that has named it may have been cut off from the others: those are asked first.
    void report_failure(redis_endpoint const& server) override;

private:
    void remember(redis_endpoint const& sentinel);

    std::shared_ptr<sentinel_group const> group_;
    std::atomic<std::size_t> first_{0};
};

}  // namespace idempo::redis
