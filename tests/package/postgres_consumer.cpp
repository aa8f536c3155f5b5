// SPDX-License-Identifier: MIT

// A store and a transactional handler on a PostgreSQL that is not there: requests are refused, and nothing runs.

#include <idempo/layers/idempotency.hpp>
#include <idempo/postgres/store.hpp>
#include <idempo/postgres/transaction/transactional.hpp>
#include <idempo/stores/blocking.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/beast/http.hpp>

#include <pqxx/subtransaction>

#include <iostream>

namespace http = boost::beast::http;
using request = http::request<http::string_body>;
using response = http::response<http::string_body>;

int main() {
    int executions = 0;
    boost::asio::io_context context;
    idempo::postgres_options database;
    database.connection = "host=/nonexistent";

    auto store = idempo::blocking([&](auto executor) { return idempo::postgres_store(executor, database); });
    auto handle = idempo::idempotency(store) | [&](request req) {
        ++executions;
        return response{http::status::created, req.version()};
    };
    auto transactional =
        idempo::transactional(context.get_executor(), {database}) | [&](request req, pqxx::subtransaction&) {
            ++executions;
            return response{http::status::created, req.version()};
        };

    request req{http::verb::post, "/charge", 11};
    req.set("Idempotency-Key", "8e03978e-40d5-43dd-bc93-6894a57f9324");
    for (auto const& answer : {handle(req), transactional(req)}) {
        if (executions == 0 && answer.result() == http::status::service_unavailable) continue;
        std::cerr << "ran without a store: " << answer.result_int() << '\n';
        return 1;
    }
}
