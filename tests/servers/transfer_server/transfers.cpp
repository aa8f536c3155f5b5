// SPDX-License-Identifier: MIT
#include "servers/transfer_server/transfers.hpp"

#include "common/execute_sql.hpp"

#include <nlohmann/json.hpp>

#include <pqxx/connection>
#include <pqxx/result>
#include <pqxx/transaction>

#include <utility>

namespace {

http_response answer(http_request const& request, unsigned status, nlohmann::json const& body) {
    return json_response(status, body.dump(), request.version(), request.keep_alive());
}

http_response problem(http_request const& request, unsigned status, std::string_view title) {
    return problem_response(status, title, request.version(), request.keep_alive());
}

http_response refuse_method(http_request const& request, std::string_view allowed) {
    auto refused = problem(request, 405, "Method Not Allowed");
    refused.set(http::field::allow, allowed);
    return refused;
}

bool is_transfer(http_request const& request) {
    return request.method() == http::verb::post && request.target() == "/transfers";
}

http_response list_accounts(http_request const& request, pqxx::subtransaction& rows) {
    auto accounts = nlohmann::json::array();
    for (auto const& row : rows.exec("SELECT name, balance FROM accounts ORDER BY name")) {
        accounts.push_back({{"name", row[0].c_str()}, {"balance", row[1].as<std::int64_t>()}});
    }
    return answer(request, 200, {{"accounts", accounts}});
}

}  // namespace

std::optional<transfer_order> parse_transfer(std::string_view body) {
    constexpr bool throws = false;
    auto const json = nlohmann::json::parse(body, nullptr, throws);
    if (!json.is_object()) return std::nullopt;
    auto const from = json.find("from");
    auto const to = json.find("to");
    auto const amount = json.find("amount");
    if (from == json.end() || to == json.end() || amount == json.end()) return std::nullopt;
    if (!from->is_string() || !to->is_string() || !amount->is_number_integer()) return std::nullopt;
    transfer_order order{from->get<std::string>(), to->get<std::string>(), 0};
    constexpr std::int64_t largest = 1'000'000'000'000;
    if (*amount < 1 || *amount > largest || order.from == order.to) return std::nullopt;
    order.amount = amount->get<std::int64_t>();
    return order;
}

http_response transfers::operator()(http_request const& request, pqxx::subtransaction& rows,
                                    idempo::execution& execution) const {
    auto answered = route(request, rows);
    if (!is_transfer(request)) execution.release();
    if (request.method() == http::verb::head) remove_body_for_head(answered);
    return answered;
}

http_response transfers::route(http_request const& request, pqxx::subtransaction& rows) const {
    auto const path = std::string_view(request.target().data(), request.target().size());
    bool const reads = request.method() == http::verb::get || request.method() == http::verb::head;
    if (path == "/transfers") return is_transfer(request) ? transfer(request, rows) : refuse_method(request, "POST");
    if (path == "/accounts") return reads ? list_accounts(request, rows) : refuse_method(request, "GET, HEAD");
    if (path == "/healthz") return answer(request, 200, {{"status", "ok"}});
    return problem(request, 404, "Not Found");
}

http_response transfers::transfer(http_request const& request, pqxx::subtransaction& rows) const {
    auto const order = parse_transfer(request.body());
    if (!order) return problem(request, 400, "Two names and an amount are needed");
    // In the order of the names, or two transfers the opposite way would wait for each other.
    auto const accounts =
        execute_sql(rows, "SELECT name, balance FROM accounts WHERE name = $1 OR name = $2 ORDER BY name FOR UPDATE",
                    order->from, order->to);
    if (accounts.size() != 2) return problem(request, 404, "No such account");
    auto const& from = accounts[order->from < order->to ? 0 : 1];
    if (from[1].as<std::int64_t>() < order->amount) return problem(request, 402, "Not enough money");

    execute_sql(rows, "UPDATE accounts SET balance = balance - $2 WHERE name = $1", order->from, order->amount);
    fails_.reached("in_handler");
    execute_sql(rows, "UPDATE accounts SET balance = balance + $2 WHERE name = $1", order->to, order->amount);
    auto const id =
        execute_sql(rows, "INSERT INTO transfers (sender, receiver, amount) VALUES ($1, $2, $3) RETURNING id",
                    order->from, order->to, order->amount)[0][0]
            .as<std::int64_t>();
    return answer(request, 201, {{"id", id}, {"from", order->from}, {"to", order->to}, {"amount", order->amount}});
}

void create_accounts(std::string const& connection) {
    pqxx::connection to_server(connection);
    pqxx::work transaction(to_server);
    // Of several processes that begin at once one makes them.
    transaction.exec("SET LOCAL client_min_messages = warning; SELECT pg_advisory_xact_lock(7461727)");
    transaction.exec("CREATE TABLE IF NOT EXISTS accounts ("
                     "name text PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0))");
    transaction.exec("CREATE TABLE IF NOT EXISTS transfers ("
                     "id bigserial PRIMARY KEY, sender text NOT NULL, receiver text NOT NULL, amount bigint NOT NULL)");
    transaction.exec("INSERT INTO accounts VALUES ('a', 1000), ('b', 1000), ('c', 1000), ('d', 1000) "
                     "ON CONFLICT DO NOTHING");
    transaction.commit();
}
