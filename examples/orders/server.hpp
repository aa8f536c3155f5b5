// SPDX-License-Identifier: MIT
#pragma once

#include "orders/flags.hpp"
#include "orders/stack.hpp"

#include <functional>
#include <string>

/// Creates the tables of orders and records if they are missing.
void migrate(orders_flags const& flags);

/// Makes the handler of `POST /orders`: `make_order_endpoint`, or one to compare it with.
using endpoint_maker = std::function<order_endpoint(stack_parts const&)>;

/// Serves until SIGTERM or SIGINT, then finishes the requests in progress.
/// \throws std::invalid_argument if the flags are invalid or the tables are missing
void serve(orders_flags const& flags, std::string secret, endpoint_maker const& make_endpoint);
