// SPDX-License-Identifier: MIT
#pragma once

#include "common/responses.hpp"
#include "orders/database.hpp"
#include "orders/order.hpp"
#include "orders/orders_table.hpp"

#include <idempo/execution.hpp>
#include <idempo/problem.hpp>

#include <boost/asio/awaitable.hpp>

#include <pqxx/subtransaction>

#include <string>
#include <variant>

/// \file
/// `POST /orders` behind all layers: two handlers, one for each kind of store.

/// The parts of a request that it needs.
struct order_to_place {
    order_to_place(http_request const& request, order_request wanted, idempo::execution const& execution);

    order_request wanted;
    std::string key;
    std::string fingerprint;
    unsigned version;
    bool keep_alive;
};

/// With records elsewhere: the order is a statement of its own.
class place_order_handler {
public:
    /// \param problems for the response to a key that the table has for another request. Both outlive all copies.
    place_order_handler(database& database, idempo::problem_table const& problems)
        : database_(&database),
          problems_(&problems) {}

    boost::asio::awaitable<http_response> operator()(http_request const& request, idempo::execution& execution) const;

private:
    database* database_;
    idempo::problem_table const* problems_;
};

/// With records in the same database: claim, order and response are one transaction.
class transactional_place_order_handler {
public:
    explicit transactional_place_order_handler(idempo::problem_table const& problems) : problems_(&problems) {}

    http_response operator()(http_request const& request, pqxx::subtransaction& rows,
                             idempo::execution& execution) const;

private:
    idempo::problem_table const* problems_;
};
