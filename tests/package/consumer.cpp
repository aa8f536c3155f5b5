// SPDX-License-Identifier: MIT

// The smallest use of the library: a handler, wrapped; the same request twice; one execution.

#include <idempo/idempo.hpp>

#include <boost/beast/http.hpp>

#include <iostream>
#include <string>

namespace http = boost::beast::http;

int main() {
    int executions = 0;
    auto charge = [&](http::request<http::string_body> req) {
        http::response<http::string_body> res{http::status::created, req.version()};
        res.body() = "charge " + std::to_string(++executions);
        res.prepare_payload();
        return res;
    };

    idempo::memory_store store;
    auto handle = idempo::idempotency(store) | charge;

    auto request = [] {
        http::request<http::string_body> req{http::verb::post, "/charge", 11};
        req.set("Idempotency-Key", "8e03978e-40d5-43dd-bc93-6894a57f9324");
        req.body() = R"({"amount":42})";
        req.prepare_payload();
        return req;
    };
    auto const first = handle(request());
    auto const again = handle(request());

    if (executions != 1 || first.body() != "charge 1" || again.body() != "charge 1" ||
        again["Idempotency-Replayed"] != "true") {
        std::cerr << "the retry was not answered from the store; executions: " << executions << '\n';
        return 1;
    }
}
