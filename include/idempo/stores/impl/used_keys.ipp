// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/stores/used_keys.hpp>

#include <algorithm>
#include <cstring>
#include <new>

namespace idempo::detail {

std::optional<time_point> used_keys::find(store_key const& key, time_point now) const noexcept {
    if (size_ == 0) return std::nullopt;
    auto const until = slots_[place_of(prefix_of(key))].until;
    return until > now ? std::optional(until) : std::nullopt;
}

bool used_keys::insert(store_key const& key, time_point until, time_point now) noexcept {
    if (5 * (size_ + 1) > 4 * slots_.size() && !grow(now)) return false;
    auto const marked = prefix_of(key);
    auto& at = slots_[place_of(marked)];
    if (at.until == free) {
        at.key = marked;
        ++size_;
    }
    at.until = std::max(at.until, until);
    earliest_ = std::min(earliest_, at.until);
    return true;
}

bool used_keys::erase(store_key const& key, time_point now) noexcept {
    if (size_ == 0) return false;
    auto const place = place_of(prefix_of(key));
    auto const until = slots_[place].until;
    if (until != free) erase_at(place);
    return until > now;
}

std::size_t used_keys::reclaim(time_point now, std::size_t least) noexcept {
    if (size_ == 0 || earliest_ > now) return 0;
    std::size_t freed = 0;
    auto earliest = never;
    // Twice, since a cursor in the middle of a chain may move a mark behind itself.
    for (std::size_t looked = 0; looked < 2 * slots_.size(); ++looked) {
        auto const& at = slots_[cursor_];
        if (at.until != free && at.until <= now) {
            erase_at(cursor_);
            if (++freed >= least) return freed;
        } else {
            if (at.until != free) earliest = std::min(earliest, at.until);
            cursor_ = next(cursor_);
        }
    }
    earliest_ = earliest;
    return freed;
}

used_keys::prefix used_keys::prefix_of(store_key const& key) noexcept {
    prefix first{};
    std::copy_n(key.bytes.begin(), first.size(), first.begin());
    return first;
}

std::size_t used_keys::home_of(prefix const& key) const noexcept {
    std::uint64_t word = 0;
    std::memcpy(&word, key.data(), sizeof word);
    return static_cast<std::size_t>(word % slots_.size());
}

std::size_t used_keys::next(std::size_t place) const noexcept { return place + 1 == slots_.size() ? 0 : place + 1; }

std::size_t used_keys::place_of(prefix const& key) const noexcept {
    auto place = home_of(key);
    while (slots_[place].until != free && slots_[place].key != key) place = next(place);
    return place;
}

bool used_keys::grow(time_point now) noexcept {
    auto const lasts = [now](slot const& each) { return each.until > now; };
    auto const lasting = static_cast<std::size_t>(std::count_if(slots_.begin(), slots_.end(), lasts));
    constexpr std::size_t fewest = 4;
    std::vector<slot> old;
    try {
        old.resize(std::max(fewest, 5 * (lasting + 1) / 3));
    } catch (std::bad_alloc const&) {
        return false;
    }
    old.swap(slots_);
    size_ = 0;
    cursor_ = 0;
    earliest_ = never;
    for (auto const& each : old) {
        if (!lasts(each)) continue;
        slots_[place_of(each.key)] = each;
        ++size_;
        earliest_ = std::min(earliest_, each.until);
    }
    return true;
}

/// Moves what follows in the chain, so that no look-up ends too soon.
void used_keys::erase_at(std::size_t place) noexcept {
    for (auto other = next(place); slots_[other].until != free; other = next(other)) {
        auto const home = home_of(slots_[other].key);
        bool const is_between = place <= other ? place < home && home <= other : place < home || home <= other;
        if (is_between) continue;
        slots_[place] = slots_[other];
        place = other;
    }
    slots_[place].until = free;
    --size_;
}

}  // namespace idempo::detail
