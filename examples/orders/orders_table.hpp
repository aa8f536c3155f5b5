#pragma once

#include "orders/order.hpp"

#include <pqxx/transaction_base>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// \file
/// The SQL of the service. It works in whatever transaction it is given, and throws what libpqxx throws.

/// What came of an order that was to be placed.
struct placement {
    enum class outcome {
        made,           ///< there is a new row
        existed,        ///< the same request had made it before
        other_request,  ///< the key belongs to another request
    };

    outcome what = outcome::made;
    order row;
};

/// One statement where the key is new. Two requests with one key get one row, whoever else has forgotten the first:
/// the table itself knows the key, and which request it was used for.
///
/// \param fingerprint of the request, in hexadecimal digits
[[nodiscard]] placement place_order(pqxx::transaction_base& within, order_request const& request,
                                    std::string const& key, std::string const& fingerprint);

/// \param id any text; what is no UUID is not found
[[nodiscard]] std::optional<order> find_order(pqxx::transaction_base& within, std::string const& id);

/// The latest first.
[[nodiscard]] std::vector<order> latest_orders(pqxx::transaction_base& within, int limit);

/// Makes the table where there is none. Of several processes that begin at once one makes it.
void create_orders_table(std::string const& connection);

[[nodiscard]] bool has_orders_table(std::string const& connection);
