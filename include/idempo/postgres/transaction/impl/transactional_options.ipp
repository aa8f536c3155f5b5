// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/postgres/transaction/transactional_options.hpp>

#include <stdexcept>

namespace idempo {

void validate(transactional_options const& options) {
    using std::chrono::milliseconds;
    constexpr std::size_t max_connections = 1000;
    validate(options.database);
    if (options.connections == 0 || options.connections > max_connections) {
        throw std::invalid_argument("transactional: connections must be 1 to 1000");
    }
    if (options.handler_timeout <= milliseconds::zero() || options.handler_timeout > std::chrono::hours{1}) {
        throw std::invalid_argument("transactional: handler_timeout must be positive, and an hour at most");
    }
}

}  // namespace idempo
