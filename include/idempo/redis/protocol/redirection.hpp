// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/options.hpp>

#include <cstdint>
#include <optional>
#include <string_view>

namespace idempo::redis {

/// The error reply of a cluster's node that another one has the key.
/// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#redirection-and-resharding
struct redirection {
    enum class kind {
        /// MOVED: from now on.
        moved,
        /// ASK: this once, since the slot is on its way there.
        ask,
    };
    kind why = kind::moved;
    std::uint16_t slot = 0;
    /// Without a host: that of the node which says so.
    redis_endpoint to;
};

/// \param text of an error reply; nothing where it is not a redirection, or none that makes sense.
[[nodiscard]] std::optional<redirection> read_redirection(std::string_view text);

}  // namespace idempo::redis
