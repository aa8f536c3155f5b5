// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/connection/transport.hpp>
#include <idempo/redis/discovery/probe_fsm.hpp>
#include <idempo/redis/protocol/resp_codec.hpp>

#include <idempo/redis/options.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

/// \file
/// What is said to sentinels, and what they say. No input or output happens here.
/// https://redis.io/docs/latest/develop/reference/sentinel-clients/

namespace idempo::redis {

/// The sentinels of one primary, and how to reach them. Read only.
struct sentinel_group {
    /// \throws std::invalid_argument where their certificates cannot be read
    sentinel_group(redis_sentinels of, std::chrono::milliseconds connect_timeout,
                   std::shared_ptr<name_resolver> names = std::make_shared<name_resolver>());

    redis_sentinels options;
    std::shared_ptr<tls_setup> tls;  // null where there is none
    std::shared_ptr<name_resolver> names;
    /// For each of them, from connecting to its answer: all of them, and the primary, within `connect_timeout`.
    std::chrono::milliseconds share;
    /// A sentinel from which nothing is heard for twice as long is given up.
    std::chrono::milliseconds keep_alive;
};

/// Where the primary is, of so many sentinels, beginning with the one at `first`.
[[nodiscard]] question where_is_primary(sentinel_group const& group, std::size_t first, std::size_t count);

/// The answer; nothing where it is none.
[[nodiscard]] std::optional<redis_endpoint> read_primary(reply_view answer);

/// What an answer that does not say where the primary is says instead.
[[nodiscard]] redis_problem problem_of(reply_view answer);

/// AUTH where it is needed, and SUBSCRIBE.
[[nodiscard]] std::string subscription(redis_sentinels const& sentinels);

/// What arrives on a subscription.
struct sentinel_news {
    enum class kind {
        subscribed,
        /// The primary is at `primary` now.
        moved,
        /// It is about to be elsewhere: the sentinel can say where, but says so by itself only when the failover is
        /// over. Until then, what the old primary acknowledges is lost.
        promoted,
        /// An answer to AUTH or PING, or news of another primary.
        nothing,
        /// The subscription cannot be trusted any more.
        malformed,
    };
    kind what = kind::malformed;
    redis_endpoint primary{};
};

[[nodiscard]] sentinel_news read_news(reply_view message, std::string_view primary_name);

}  // namespace idempo::redis
