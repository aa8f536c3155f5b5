// SPDX-License-Identifier: MIT
#pragma once

#include "orders/order.hpp"

#include <pqxx/transaction_base>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// \file
/// The SQL of the service. It works in any given transaction, and passes exceptions of libpqxx on.

/// The result of placing an order.
struct placement {
    enum class outcome {
        made,           ///< there is a new row
        existed,        ///< the same request had made it before
        other_request,  ///< the key belongs to another request
    };

    outcome what = outcome::made;
    order row;
};

/// One statement if the key is new. Two requests with one key get one row, even if the store has forgotten the first:
/// the table itself knows the key and its request.
///
/// \param fingerprint of the request, in hexadecimal digits
[[nodiscard]] placement place_order(pqxx::transaction_base& within, order_request const& request,
                                    std::string const& key, std::string const& fingerprint);

/// \param id any text; text other than a UUID is not found
[[nodiscard]] std::optional<order> find_order(pqxx::transaction_base& within, std::string const& id);

/// Newest first.
[[nodiscard]] std::vector<order> latest_orders(pqxx::transaction_base& within, int limit);

/// Creates the table if it is missing. If several processes start at once, one creates it.
void create_orders_table(std::string const& connection);

[[nodiscard]] bool has_orders_table(std::string const& connection);
