#pragma once

#include <idempo/redis/connection/locator.hpp>
#include <idempo/redis/discovery/sentinel_protocol.hpp>

#include <atomic>
#include <cstddef>
#include <memory>

namespace idempo::redis {

/// Asks the sentinels where the primary is, one after the other, first the one that has answered last. What they say
/// may be old: whether the server that they name is a primary, the handshake of the connection finds out.
class sentinel_locator final : public locator, public std::enable_shared_from_this<sentinel_locator> {
public:
    explicit sentinel_locator(std::shared_ptr<sentinel_group const> group) : group_(std::move(group)) {}

    void locate(strand const& executor, on_located done) override;

    /// The sentinel that has named it may have been cut off from the others: those are asked first.
    void doubt(redis_endpoint const& server) override;

private:
    void remember(redis_endpoint const& sentinel);

    std::shared_ptr<sentinel_group const> group_;
    std::atomic<std::size_t> first_{0};
};

}  // namespace idempo::redis
