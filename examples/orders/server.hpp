#pragma once

#include "orders/flags.hpp"
#include "orders/stack.hpp"

#include <functional>
#include <string>

/// Makes the tables of the orders and of the records, where they are missing.
void migrate(orders_flags const& flags);

/// Makes what answers `POST /orders`: `make_order_endpoint`, or something to compare it with.
using endpoint_maker = std::function<order_endpoint(stack_parts const&)>;

/// Serves until SIGTERM or SIGINT, and finishes then what is under way.
/// \throws std::invalid_argument where the flags make no sense or the tables are missing
void serve(orders_flags const& flags, std::string secret, endpoint_maker const& make_endpoint);
