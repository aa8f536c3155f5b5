// SPDX-License-Identifier: MIT
#pragma once

#include "support/store_scene.hpp"

#include <idempo/redis/store.hpp>

#include <chrono>
#include <cstdint>

namespace idempo::tests {

using namespace std::chrono_literals;

/// Options for a server on this machine, with deadlines short enough to wait for.
inline redis_options local_redis(std::uint16_t port) {
    redis_options options;
    options.port = port;
    options.operation_timeout = 500ms;
    return options;
}

}  // namespace idempo::tests
