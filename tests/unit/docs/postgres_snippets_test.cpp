// SPDX-License-Identifier: MIT

// The code blocks of docs/postgres.md, each between //[name and //]. tests/snippets.cmake compares them.

#include "support/catch.hpp"

#include <idempo/layers/idempotency.hpp>
#include <idempo/postgres/migrate.hpp>
#include <idempo/postgres/scheme.hpp>
#include <idempo/postgres/store.hpp>
#include <idempo/postgres/transaction/transactional.hpp>
#include <idempo/stores/blocking.hpp>
#include <idempo/stores/open_store.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/beast/http.hpp>

#include <pqxx/subtransaction>

#include <iostream>
#include <stdexcept>
#include <string>

namespace {

namespace http = boost::beast::http;
using request_type = http::request<http::string_body>;
using response_type = http::response<http::string_body>;

response_type my_handler(request_type const& request) { return {http::status::created, request.version()}; }

response_type created(request_type const& request) { return my_handler(request); }

request_type keyed() {
    request_type request{http::verb::post, "/transfers", 11};
    request.set("Idempotency-Key", "a");
    return request;
}

}  // namespace

TEST_CASE("snippets: the PostgreSQL store, in each style", "[snippets]") {
    boost::asio::io_context context;
    //[postgres-open
    idempo::postgres_options options;
    options.connection = "host=db.internal dbname=shop user=app";

    idempo::postgres_store store(context.get_executor(), options);
    auto handle = idempo::idempotency(store) | my_handler;                        // callbacks and coroutines
    auto handle_now = idempo::idempotency(idempo::blocking(store)) | my_handler;  // synchronous servers

    auto any = idempo::open_store(context.get_executor(), "postgresql://app@db.internal/shop?table=keys",
                                  idempo::postgres_scheme());
    //]
    request_type const unkeyed{http::verb::post, "/", 11};
    CHECK(handle_now(unkeyed).result_int() == 201);
}

TEST_CASE("snippets: PostgreSQL, prepared and looked at", "[snippets]") {
    idempo::postgres_options options;
    options.connection = "host=/nonexistent";
    auto const start = [&] {
        //[postgres-migrate
        idempo::migrate(options);

        auto const found = idempo::check_postgres(options);
        for (auto const& warning : found.warnings()) std::cerr << warning << '\n';
        if (!found.is_usable()) return 1;
        //]
        return 0;
    };
    CHECK_THROWS_AS(start(), std::runtime_error);
}

TEST_CASE("snippets: the transactional mode", "[snippets]") {
    boost::asio::io_context context;
    std::string const connection = "host=/nonexistent";
    //[transactional
    idempo::transactional_options options;
    options.database.connection = connection;

    auto handle = idempo::transactional(context.get_executor(), options) |
                  [](request_type const& req, pqxx::subtransaction& rows) {
                      rows.exec("UPDATE accounts SET balance = balance - 5 WHERE name = 'a'");
                      rows.exec("UPDATE accounts SET balance = balance + 5 WHERE name = 'b'");
                      return created(req);
                  };
    //]
    CHECK(handle(keyed()).result() == http::status::service_unavailable);
}

TEST_CASE("snippets: the transactional mode's outbox", "[snippets]") {
    boost::asio::io_context context;
    std::string const connection = "host=/nonexistent";
    idempo::transactional_options options;
    options.database.connection = connection;
    //[outbox
    auto send_later = [](request_type const& req, pqxx::subtransaction& rows, idempo::execution& execution) {
        rows.exec("INSERT INTO outbox (key, message) VALUES (" + rows.quote(execution.derived_key("email")) +
                  ", 'order received')");
        return created(req);
    };
    //]
    auto handle = idempo::transactional(context.get_executor(), options) | send_later;
    CHECK(handle(keyed()).result() == http::status::service_unavailable);
}
