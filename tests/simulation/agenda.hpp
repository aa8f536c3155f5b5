// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/virtual_time.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>

namespace idempo::simulation {

/// What happens in the world, in the order of time, and in the order of planning at one time.
class agenda {
public:
    using action = std::function<void()>;

    void at(time_point when, action what) { actions_.emplace(std::pair(when, planned_++), std::move(what)); }
    void after(duration span, action what) { at(world_now + span, std::move(what)); }

    [[nodiscard]] std::optional<time_point> next() const {
        return actions_.empty() ? std::nullopt : std::optional(actions_.begin()->first.first);
    }

    void run_next() {
        auto const what = std::move(actions_.begin()->second);
        actions_.erase(actions_.begin());
        what();
    }

private:
    std::map<std::pair<time_point, std::uint64_t>, action> actions_;
    std::uint64_t planned_ = 0;
};

}  // namespace idempo::simulation
