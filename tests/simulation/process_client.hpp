// SPDX-License-Identifier: MIT
#pragma once

#include "simulation/remote_store.hpp"

#include <cstddef>
#include <functional>

namespace idempo::simulation {

/// A process's client of the store as the world treats it: the process dies with it, and the network cuts it off.
class process_client : public store_client {
public:
    /// Runs something in the process, as soon as it runs.
    using entry = std::function<void(std::function<void()>)>;

    static constexpr std::size_t connection_count = 2;

    /// The process ends: nothing is received any more. Nothing is sent, either, unless its destructors still can.
    virtual void end(bool destructors_can_send) = 0;
    virtual void die() = 0;
    virtual void cut(std::size_t connection) = 0;
};

}  // namespace idempo::simulation
