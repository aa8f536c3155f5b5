// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/connection/binary_parameters.hpp>

#include <vector>

namespace idempo::postgres {

/// Views of parameters as libpq wants them.
struct parameter_views {
    static constexpr int in_binary = 1;

    explicit parameter_views(binary_parameters const& of) : formats(of.values().size(), in_binary) {
        for (auto const& each : of.values()) {
            values.push_back(each.data());
            lengths.push_back(static_cast<int>(each.size()));
        }
    }
    [[nodiscard]] int count() const { return static_cast<int>(values.size()); }

    std::vector<char const*> values;
    std::vector<int> lengths;
    std::vector<int> formats;
};

}  // namespace idempo::postgres
