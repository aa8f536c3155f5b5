// SPDX-License-Identifier: MIT
#include "orders/routes.hpp"

#include "orders/embedded_files.hpp"
#include "orders/limits.hpp"
#include "orders/orders_table.hpp"
#include "orders/outage.hpp"
#include "orders/service_log.hpp"

#include <nlohmann/json.hpp>

#include <pqxx/nontransaction>

#include <array>
#include <charconv>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

namespace asio = boost::asio;

namespace {

constexpr std::string_view one_order = "/orders/";

struct page_file {
    std::string_view path;
    std::string_view type;
    std::string_view const& text;
};

std::array<page_file, 4> const page{{{"/", "text/html; charset=utf-8", embedded::index_html},
                                     {"/page.js", "text/javascript; charset=utf-8", embedded::page_js},
                                     {"/style.css", "text/css; charset=utf-8", embedded::style_css},
                                     {"/icon.svg", "image/svg+xml", embedded::icon_svg}}};

std::string_view path_of(std::string_view target) { return target.substr(0, target.find('?')); }

http_response problem(http_request const& request, unsigned status, std::string_view title) {
    return problem_response(status, title, request.version(), request.keep_alive());
}

http_response refuse_method(http_request const& request, std::string_view allowed) {
    auto answer = problem(request, 405, "Method Not Allowed");
    answer.set(http::field::allow, allowed);
    return answer;
}

bool is_read(http_request const& request) {
    return request.method() == http::verb::get || request.method() == http::verb::head;
}

http_response json(http_request const& request, nlohmann::ordered_json const& body) {
    return json_response(200, body.dump(), request.version(), request.keep_alive());
}

http_response text(http_request const& request, std::string_view type, std::string body) {
    auto answer = json_response(200, std::move(body), request.version(), request.keep_alive());
    answer.set(http::field::content_type, type);
    // The page loads nothing from other servers, and no other page may frame it.
    answer.set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'");
    answer.set("X-Content-Type-Options", "nosniff");
    answer.set(http::field::cache_control, "no-cache");
    return answer;
}

/// The number in `?limit=10`: 10 by default, nullopt if it is not between 1 and `limits::listed_orders`.
std::optional<int> parse_limit(std::string_view target) {
    constexpr int usual = 10;
    constexpr std::string_view name = "limit=";
    auto const query = target.substr(std::min(path_of(target).size() + 1, target.size()));
    if (query.empty()) return usual;
    if (!query.starts_with(name)) return std::nullopt;
    auto const digits = query.substr(name.size());
    int limit = 0;
    auto const [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), limit);
    if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    if (limit < 1 || limit > limits::listed_orders) return std::nullopt;
    return limit;
}

// No braces in coroutines: GCC 12 destroys the temporaries of an initializer_list there twice.

http_response answer_list(http_request const& request, std::vector<order> const& latest) {
    auto all = nlohmann::ordered_json::array();
    for (auto const& each : latest) all.push_back(to_json(each));
    return json(request, {{"orders", std::move(all)}});
}

http_response answer_one(http_request const& request, order const& found) {
    return json(request, {{"order", to_json(found)}});
}

/// Messages of libpqxx may quote their input, so they are not logged.
http_response answer_failure(http_request const& request) {
    service_log::write("failure", {{"route", routes::route_of(request.target())}});
    return problem(request, 500, "Internal Server Error");
}

// The queries, for the threads of the database.

auto reading_latest(int limit) {
    return [limit](pqxx::connection& connection) {
        pqxx::nontransaction autocommit(connection);
        return latest_orders(autocommit, limit);
    };
}

auto reading_one(std::string id) {
    return [id = std::move(id)](pqxx::connection& connection) {
        pqxx::nontransaction autocommit(connection);
        return find_order(autocommit, id);
    };
}

asio::awaitable<http_response> list(database* orders, http_request const* request) {
    auto const limit = parse_limit(request->target());
    if (!limit) co_return problem(*request, 400, "limit must be between 1 and 1000");
    auto read = reading_latest(*limit);
    auto const latest = co_await orders->run(std::move(read));
    co_return answer_list(*request, latest);
}

asio::awaitable<http_response> find(database* orders, http_request const* request) {
    auto read = reading_one(std::string(path_of(request->target()).substr(one_order.size())));
    auto const found = co_await orders->run(std::move(read));
    if (!found) co_return problem(*request, 404, "There is no such order");
    co_return answer_one(*request, *found);
}

}  // namespace

std::string_view routes::route_of(std::string_view target) noexcept {
    auto const path = path_of(target);
    if (path.starts_with(one_order)) return "/orders/{id}";
    for (std::string_view const known :
         {"/orders", "/", "/page.js", "/style.css", "/icon.svg", "/events", "/metrics", "/healthz"}) {
        if (path == known) return known;
    }
    return "other";
}

asio::awaitable<http::message_generator> routes::answer(http_request request, asio::ip::address peer) const {
    bool const reads = is_read(request);
    auto const route = route_of(request.target());
    bool const is_orders = route == "/orders" || route == "/orders/{id}";
    if (route == "/orders" && request.method() == http::verb::post) {
        co_return co_await place_order_(std::move(request), peer);
    }
    http_response answered;
    if (is_orders && reads) {
        answered = co_await read_orders(&request);
    } else {
        answered = answer_at_once(request);
    }
    if (request.method() == http::verb::head) remove_body_for_head(answered);
    co_return std::move(answered);
}

asio::awaitable<http_response> routes::read_orders(http_request const* request) const {
    try {
        if (route_of(request->target()) == "/orders") co_return co_await list(&orders_, request);
        co_return co_await find(&orders_, request);
    } catch (database_unavailable const&) {
        co_return outage_response(request->version(), request->keep_alive());
    } catch (std::exception const&) {
        co_return answer_failure(*request);
    }
}

http_response routes::answer_at_once(http_request const& request) const {
    auto const path = path_of(request.target());
    auto const route = route_of(request.target());
    if (route == "other") return problem(request, 404, "Not Found");
    if (route == "/orders") return refuse_method(request, "GET, HEAD, POST");
    if (!is_read(request)) return refuse_method(request, "GET, HEAD");
    if (path == "/healthz") return json(request, {{"status", "ok"}});
    if (path == "/metrics") return text(request, "text/plain; version=0.0.4", measured_.text());
    for (auto const& file : page) {
        if (path == file.path) return text(request, file.type, std::string(file.text));
    }
    return problem(request, 404, "Not Found");
}
