// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/deadline.hpp>
#include <idempo/identifiers.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace idempo::detail {

/// The marks of keys whose records have expired, each with its own end: an open-addressing table of the first half of
/// each key, which is a digest, so that no two are alike.
///
/// It grows by a third when four fifths of its slots are taken, and leaves out what has ended then. So a mark takes at
/// most `bytes_each`, beside the smaller table that a growing one is copied from.
class used_keys {
public:
    /// A slot has 24 bytes, and at least three of five are taken.
    static constexpr std::size_t bytes_each = 40;

    /// When the mark of the key ends; empty where there is none.
    [[nodiscard]] std::optional<time_point> find(store_key const& key, time_point now) const noexcept;
    [[nodiscard]] bool contains(store_key const& key, time_point now) const noexcept {
        return find(key, now).has_value();
    }

    /// A mark that is there already ends no sooner than before. False where memory ran out.
    [[nodiscard]] bool insert(store_key const& key, time_point until, time_point now) noexcept;

    /// Whether there was one that had not ended.
    bool erase(store_key const& key, time_point now) noexcept;

    /// Frees marks that have ended, at least `least` where there are so many. Looks at a slot twice at most.
    std::size_t reclaim(time_point now, std::size_t least) noexcept;

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t allocated_bytes() const noexcept { return slots_.capacity() * sizeof(slot); }

private:
    using prefix = std::array<std::uint8_t, 16>;

    static constexpr time_point free = time_point::min();

    struct slot {
        prefix key{};
        time_point until = free;
    };

    [[nodiscard]] static prefix prefix_of(store_key const& key) noexcept;
    [[nodiscard]] std::size_t home_of(prefix const& key) const noexcept;
    [[nodiscard]] std::size_t next(std::size_t place) const noexcept;
    /// That of the key, or the free one where it belongs. \pre there is a free slot
    [[nodiscard]] std::size_t place_of(prefix const& key) const noexcept;
    [[nodiscard]] bool grow(time_point now) noexcept;
    void erase_at(std::size_t place) noexcept;

    std::vector<slot> slots_;
    std::size_t size_ = 0;
    /// No mark ends before.
    time_point earliest_ = never;
    /// Where `reclaim` goes on.
    std::size_t cursor_ = 0;
};

}  // namespace idempo::detail
