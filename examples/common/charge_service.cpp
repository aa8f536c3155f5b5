// SPDX-License-Identifier: MIT
#include "common/charge_service.hpp"

#include "common/random_id.hpp"

#include <nlohmann/json.hpp>

#include <boost/beast/http/field.hpp>
#include <boost/beast/http/verb.hpp>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <string_view>

namespace {

using failure = charge_order::failure;

http_response answer_problem(http_request const& request, unsigned status, std::string_view title) {
    return problem_response(status, title, request.version(), request.keep_alive());
}

http_response refuse_method(http_request const& request, std::string_view allowed) {
    auto answer = answer_problem(request, 405, "Method Not Allowed");
    answer.set(http::field::allow, allowed);
    return answer;
}

bool reads(http_request const& request) {
    return request.method() == http::verb::get || request.method() == http::verb::head;
}

bool charges(http_request const& request) {
    return request.method() == http::verb::post || request.method() == http::verb::put ||
           request.method() == http::verb::patch;
}

std::variant<http_response, charge_order> take_order(http_request const& request, std::string_view query) {
    charge_order order;
    order.version = request.version();
    order.keep_alive = request.keep_alive();
    auto const amount = parse_amount(request.body());
    if (!amount) return answer_problem(request, 400, "The body must be JSON with a positive whole amount");
    order.amount = *amount;
    if (!parse_switches(query, order)) return answer_problem(request, 400, "A switch in the query has no such value");
    return order;
}

}  // namespace

std::variant<http_response, charge_order> charge_service::route(http_request const& request) {
    std::string_view const target = request.target();
    auto const path = target.substr(0, target.find('?'));
    auto const query = target.substr(std::min(path.size() + 1, target.size()));

    if (path == "/charge" && charges(request)) {
        auto taken = take_order(request, query);
        if (std::holds_alternative<charge_order>(taken)) ledger_.start();
        return taken;
    }
    bool const readable = path == "/charges" || path == "/healthz" || (path == "/metrics" && metrics_);
    auto answer = path == "/charge" ? refuse_method(request, "POST, PUT, PATCH")
                  : !readable       ? answer_problem(request, 404, "Not Found")
                  : !reads(request) ? refuse_method(request, "GET, HEAD")
                                    : read(request, path);
    if (request.method() == http::verb::head) remove_body_for_head(answer);
    return answer;
}

http_response charge_service::read(http_request const& request, std::string_view path) const {
    if (path == "/charges") return list_charges(request);
    if (path == "/healthz") return json_response(200, R"({"status":"ok"})", request.version(), request.keep_alive());
    auto answer = json_response(200, metrics_(), request.version(), request.keep_alive());
    answer.set(http::field::content_type, "text/plain; version=0.0.4");
    return answer;
}

http_response charge_service::charge(charge_order const& order, unsigned attempt) {
    if (order.throws == failure::before_effect) throw std::runtime_error("thrown before the effect, as asked");
    auto const id = ledger_.charge();
    if (order.throws == failure::after_effect) throw std::runtime_error("thrown after the effect, as asked");

    nlohmann::ordered_json json{{"id", id}, {"amount", order.amount}, {"status", "charged"}};
    json["attempt"] = std::max(attempt, 1U);  // without a key there is no other
    if (order.padding > 0) json["padding"] = std::string(order.padding, 'x');

    auto answer = json_response(order.status, json.dump(), order.version, order.keep_alive);
    answer.set("Request-Id", random_id("req_"));
    if (order.status == 201) answer.set(http::field::location, "/charges/" + id);
    if (order.cookie) answer.set(http::field::set_cookie, "last_charge=" + id + "; HttpOnly");
    return answer;
}

http_response charge_service::list_charges(http_request const& request) const {
    auto const summary = ledger_.summarise();
    nlohmann::ordered_json const json{{"count", summary.count}, {"started", summary.started}, {"last", summary.last}};
    return json_response(200, json.dump(), request.version(), request.keep_alive());
}
