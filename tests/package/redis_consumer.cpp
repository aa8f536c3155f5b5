// SPDX-License-Identifier: MIT

// A wrapped handler on a Redis that is not there: it is refused, and does not run.

#include <idempo/layers/idempotency.hpp>
#include <idempo/redis/scheme.hpp>
#include <idempo/redis/store.hpp>
#include <idempo/stores/blocking.hpp>
#include <idempo/stores/open_store.hpp>

#include <boost/beast/http.hpp>

#include <iostream>

namespace http = boost::beast::http;

int main() {
    int executions = 0;
    auto charge = [&](http::request<http::string_body> req) {
        ++executions;
        return http::response<http::string_body>{http::status::created, req.version()};
    };
    auto store = idempo::blocking(
        [](auto executor) { return idempo::open_store(executor, "redis://127.0.0.1:1", idempo::redis_scheme()); });
    auto handle = idempo::idempotency(store) | charge;

    http::request<http::string_body> req{http::verb::post, "/charge", 11};
    req.set("Idempotency-Key", "8e03978e-40d5-43dd-bc93-6894a57f9324");
    auto const answer = handle(req);
    if (executions != 0 || answer.result() != http::status::service_unavailable) {
        std::cerr << "ran without a store: " << answer.result_int() << '\n';
        return 1;
    }
}
