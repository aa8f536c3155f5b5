// SPDX-License-Identifier: MIT
#pragma once

#include <boost/intrusive/link_mode.hpp>
#include <boost/intrusive/list.hpp>
#include <boost/intrusive/list_hook.hpp>
#include <boost/intrusive/options.hpp>

#include <chrono>
#include <iterator>
#include <optional>

namespace idempo::detail {

/// Claims in the order in which their leases are to be renewed, without a clock or a timer. It owns none of them; each
/// is taken out before it ends. Not thread-safe.
class renewal_queue {
public:
    using time_point = std::chrono::steady_clock::time_point;

    class entry : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::safe_link>> {
        friend renewal_queue;
        time_point due_;
    };

    /// Usually at the end: leases are equal, and what is claimed later is due later.
    void add(entry& added, time_point due) {
        added.due_ = due;
        auto place = entries_.end();
        while (place != entries_.begin() && std::prev(place)->due_ > due) --place;
        entries_.insert(place, added);
    }

    /// Nothing where it is not there.
    void remove(entry& removed) noexcept {
        if (removed.is_linked()) entries_.erase(entries_.iterator_to(removed));
    }

    /// When the next one is due; empty where there is none.
    [[nodiscard]] std::optional<time_point> next() const noexcept {
        if (entries_.empty()) return std::nullopt;
        return entries_.front().due_;
    }

    /// Takes out one that is due, or returns null.
    [[nodiscard]] entry* take(time_point now) noexcept {
        if (entries_.empty() || entries_.front().due_ > now) return nullptr;
        auto& first = entries_.front();
        entries_.pop_front();
        return &first;
    }

private:
    boost::intrusive::list<entry, boost::intrusive::constant_time_size<false>> entries_;
};

}  // namespace idempo::detail
