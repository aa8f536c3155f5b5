// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/protocol/key_slot.hpp>
#include <idempo/redis/protocol/resp_codec.hpp>

#include <idempo/redis/options.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace idempo::redis {

/// Which primary has which slots: what one node of a cluster says. It may be wrong about it, and it may know of some
/// slots only.
class slot_map {
public:
    /// The largest answer: each slot is a range of its own.
    static constexpr std::size_t max_array_elements = slot_count;
    /// Redis recommends no more than 1,000.
    static constexpr std::size_t max_nodes = 4096;

    /// \param answer to CLUSTER SLOTS
    /// \param asked whose answer it is: the endpoint of nodes without a host, which is what a cluster says that does
    /// not know how its clients see it
    /// \return nothing where the answer makes no sense
    [[nodiscard]] static std::optional<slot_map> read(reply_view answer, redis_endpoint const& asked);

    /// Its place among `primaries()`; nothing where the slot has none, or one without an address.
    /// \pre slot < slot_count
    [[nodiscard]] std::optional<std::size_t> primary_of(std::uint16_t slot) const;

    /// The first slot from `slot` on that is the first of its primary; nothing behind the last.
    [[nodiscard]] std::optional<std::uint16_t> next_primary(std::uint16_t slot) const;

    /// Those with slots, each once.
    [[nodiscard]] std::vector<redis_endpoint> const& primaries() const noexcept { return primaries_; }
    /// Each once: these may be asked next time.
    [[nodiscard]] std::vector<redis_endpoint> const& replicas() const noexcept { return replicas_; }

    /// The number of slots that have a primary.
    [[nodiscard]] std::size_t covered() const noexcept { return covered_; }
    [[nodiscard]] bool is_complete() const noexcept { return covered_ == slot_count; }

private:
    using place = std::uint16_t;  // among the primaries
    static constexpr place nowhere = 0xFFFF;

    [[nodiscard]] bool add_range(reply_view range, redis_endpoint const& asked);
    [[nodiscard]] bool add_slots(std::size_t first, std::size_t last, redis_endpoint const& primary);

    std::vector<redis_endpoint> primaries_;
    std::vector<redis_endpoint> replicas_;
    std::vector<place> places_ = std::vector<place>(slot_count, nowhere);
    std::size_t covered_ = 0;
};

}  // namespace idempo::redis
