// SPDX-License-Identifier: MIT
#include "orders/place_order.hpp"

#include "orders/outage.hpp"

#include <idempo/fingerprint.hpp>
#include <idempo/identifiers.hpp>

#include <nlohmann/json.hpp>

#include <pqxx/except>
#include <pqxx/nontransaction>

#include <string_view>
#include <utility>

namespace asio = boost::asio;

namespace {

using order_or_refusal = std::variant<http_response, order_to_place>;

order_or_refusal take_order(http_request const& request, idempo::execution& execution) {
    auto parsed = parse_order(request.body());
    if (auto* const wanted = std::get_if<order_request>(&parsed)) {
        return order_to_place(request, std::move(*wanted), execution);
    }
    // Nothing has happened, and the client may correct its request under the same key.
    execution.release();
    return problem_response(400, std::get<std::string_view>(parsed), request.version(), request.keep_alive());
}

http_response answer_placement(placement const& placed, order_to_place const& order, idempo::execution& execution,
                               idempo::problem_table const& problems) {
    if (placed.what == placement::outcome::other_request) {
        // As the middleware would if the record still existed. If stored, this refusal would block the right request.
        execution.release();
        return idempo::make_refusal(problems, idempo::write_problem_json, {idempo::refusal::key_reused, {}, {}},
                                    order.version, order.keep_alive);
    }
    nlohmann::ordered_json const body{{"order", to_json(placed.row)}};
    auto answer = json_response(201, body.dump(), order.version, order.keep_alive);
    answer.set(http::field::location, "/orders/" + placed.row.id);
    return answer;
}

/// The query, for the threads of the database.
auto placing(order_to_place const& order) {
    return [order](pqxx::connection& connection) {
        pqxx::nontransaction autocommit(connection);
        return place_order(autocommit, order.wanted, order.key, order.fingerprint);
    };
}

asio::awaitable<http_response> place(database* database, idempo::problem_table const* problems, order_or_refusal taken,
                                     idempo::execution* execution) {
    if (auto* const refusal = std::get_if<http_response>(&taken)) co_return std::move(*refusal);
    auto const& order = std::get<order_to_place>(taken);
    try {
        auto insert = placing(order);
        auto const placed = co_await database->run(std::move(insert));
        co_return answer_placement(placed, order, *execution, *problems);
    } catch (database_unavailable const&) {
        // A 503 is not stored. If the order was made after all, the retry finds it.
        co_return outage_response(order.version, order.keep_alive);
    }
}

}  // namespace

order_to_place::order_to_place(http_request const& request, order_request wanted_order,
                               idempo::execution const& execution)
    : wanted(std::move(wanted_order)),
      key(execution.key()),
      fingerprint(idempo::to_hex(idempo::fingerprint_rule(idempo::same_request())(request).view())),
      version(request.version()),
      keep_alive(request.keep_alive()) {}

asio::awaitable<http_response> place_order_handler::operator()(http_request const& request,
                                                               idempo::execution& execution) const {
    // Not a coroutine itself: the request lives only during this call, the execution longer.
    return place(database_, problems_, take_order(request, execution), &execution);
}

http_response transactional_place_order_handler::operator()(http_request const& request, pqxx::subtransaction& rows,
                                                            idempo::execution& execution) const {
    auto taken = take_order(request, execution);
    if (auto* const refusal = std::get_if<http_response>(&taken)) return std::move(*refusal);
    auto const& order = std::get<order_to_place>(taken);
    try {
        auto const placed = place_order(rows, order.wanted, order.key, order.fingerprint);
        return answer_placement(placed, order, execution, *problems_);
    } catch (pqxx::failure const& error) {
        if (!is_outage(error)) throw;
        return outage_response(order.version, order.keep_alive);
    }
}
