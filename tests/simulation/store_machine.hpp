// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/store_call.hpp"
#include "simulation/virtual_time.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>

namespace idempo::simulation {

/// The machine with the store that all processes share, and what may go wrong with it.
class store_machine {
public:
    store_machine() = default;
    store_machine(store_machine const&) = delete;
    store_machine& operator=(store_machine const&) = delete;
    virtual ~store_machine() = default;

    /// For the operator: peek and settle. Nothing where the machine is down.
    [[nodiscard]] virtual std::optional<store_answer> ask(store_call const& call) = 0;

    virtual void go_down() = 0;
    virtual void come_back() = 0;
    /// Comes back at an earlier state, without the newest records.
    virtual void lose(std::size_t operations) = 0;
    virtual void jump(duration by) = 0;
    [[nodiscard]] virtual time_point now() const = 0;
};

}  // namespace idempo::simulation
