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
/// `POST /orders` behind all layers: the two handlers, one for each way to keep the records.

/// All that it needs of a request, which it does not keep.
struct order_to_place {
    order_to_place(http_request const& request, order_request wanted, idempo::execution const& execution);

    order_request wanted;
    std::string key;
    std::string fingerprint;
    unsigned version;
    bool keep_alive;
};

/// Records elsewhere: the order is one statement of its own.
class place_order_handler {
public:
    /// \param problems for the answer to a key that the table knows from another request. Both outlive all copies.
    place_order_handler(database& database, idempo::problem_table const& problems)
        : database_(&database),
          problems_(&problems) {}

    boost::asio::awaitable<http_response> operator()(http_request const& request, idempo::execution& execution) const;

private:
    database* database_;
    idempo::problem_table const* problems_;
};

/// Records in the same database: claim, order and answer are one transaction.
class transactional_place_order_handler {
public:
    explicit transactional_place_order_handler(idempo::problem_table const& problems) : problems_(&problems) {}

    http_response operator()(http_request const& request, pqxx::subtransaction& rows,
                             idempo::execution& execution) const;

private:
    idempo::problem_table const* problems_;
};
