// SPDX-License-Identifier: MIT

// The code blocks of docs/redis.md, each between //[name and //]. tests/snippets.cmake compares them.

#include "support/catch.hpp"

#include <idempo/layers/idempotency.hpp>
#include <idempo/redis/scheme.hpp>
#include <idempo/redis/store.hpp>
#include <idempo/redis/url.hpp>
#include <idempo/stores/blocking.hpp>
#include <idempo/stores/open_store.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/beast/http.hpp>

#include <iostream>
#include <memory>
#include <string>

namespace {

namespace http = boost::beast::http;

http::response<http::string_body> my_handler(http::request<http::string_body> const& request) {
    return {http::status::created, request.version()};
}

}  // namespace

TEST_CASE("snippets: the Redis store, in each style", "[snippets]") {
    boost::asio::io_context context;
    std::string const secret = "secret";
    //[redis-open
    idempo::redis_options options;
    options.host = "redis.internal";
    options.password = secret;

    idempo::redis_store store(context.get_executor(), options);
    auto handle = idempo::idempotency(store) | my_handler;                        // callbacks and coroutines
    auto handle_now = idempo::idempotency(idempo::blocking(store)) | my_handler;  // synchronous servers

    auto any = idempo::open_store(context.get_executor(), "rediss://:secret@redis.internal", idempo::redis_scheme());
    //]
    http::request<http::string_body> const unkeyed{http::verb::post, "/", 11};
    CHECK(handle_now(unkeyed).result() == http::status::created);  // nobody asks Redis
    (void)handle;
    (void)any;
}

TEST_CASE("snippets: the observer hears of problems with Redis", "[snippets]") {
    boost::asio::io_context context;
    idempo::redis_options options;
    //[redis-observer
    options.observer = [](idempo::redis_event const& event) {
        std::cerr << idempo::to_string(event.problem) << ' ' << event.words << ' ' << event.error.message() << '\n';
        if (event.problem == idempo::redis_problem::none && !event.server.has_append_only_file) {
            std::cerr << "a restart of Redis forgets claims\n";
        }
    };
    //]
    idempo::redis_store const store(context.get_executor(), options);
    CHECK(options.observer);
}

TEST_CASE("snippets: tokens that expire", "[snippets]") {
    struct token_source {
        [[nodiscard]] std::string current() const { return "token"; }
    };
    auto const tokens = std::make_shared<token_source const>();
    idempo::redis_options options;
    //[redis-credentials
    options.credentials = [tokens] { return idempo::redis_credentials{"app", tokens->current()}; };
    //]
    CHECK_NOTHROW(idempo::validate(options));
}

TEST_CASE("snippets: a primary that Sentinel watches", "[snippets]") {
    boost::asio::io_context context;
    //[redis-sentinel
    auto watched = idempo::open_store(
        context.get_executor(),
        "redis+sentinel://:secret@sentinel-1,sentinel-2,sentinel-3/charges?sentinel_password=other&wait_replicas=1",
        idempo::redis_scheme());
    //]
    CHECK(idempo::is_redis_scheme("redis+sentinel"));
    (void)watched;
}

TEST_CASE("snippets: a claim counts when a replica has it", "[snippets]") {
    idempo::redis_options options;
    using namespace std::chrono_literals;
    //[redis-replicas
    options.wait_replicas = {.count = 1, .timeout = 100ms};
    //]
    CHECK_NOTHROW(idempo::validate(options));
}

TEST_CASE("snippets: a Redis Cluster", "[snippets]") {
    boost::asio::io_context context;
    //[redis-cluster
    idempo::redis_options options;
    options.cluster_nodes = {{.host = "redis-1"}, {.host = "redis-2"}, {.host = "redis-3", .port = 7000}};

    auto any = idempo::open_store(context.get_executor(), "redis+cluster://redis-1,redis-2,redis-3:7000",
                                  idempo::redis_scheme());
    //]
    CHECK(idempo::parse_redis_url("redis+cluster://redis-1,redis-2,redis-3:7000").cluster_nodes ==
          options.cluster_nodes);
    (void)any;
}
