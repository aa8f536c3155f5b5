// SPDX-License-Identifier: MIT

// README's wrap and each braced options inside a function template, a generic lambda and a class template, as servers
// have them: GCC 12 crashes where a default of theirs is a braced list.

#include <idempo/idempo.hpp>
#include <idempo/postgres/options.hpp>
#include <idempo/postgres/transaction/transactional_options.hpp>
#include <idempo/redis/options.hpp>

#include "support/catch.hpp"
#include "support/requests.hpp"

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <string>
#include <tuple>
#include <utility>

namespace {

using namespace idempo::tests;
using namespace std::chrono_literals;

text_response handle_request(std::string const& doc_root, text_request&& req) {
    text_response response{http::status::created, req.version()};
    response.body() = doc_root;
    return response;
}

/// With arguments that depend on nothing, in a template.
template <class Store>
auto in_function_template(Store store, std::string const& doc_root) {
    return idempo::cors({.origins = {"https://shop.example"}}) |
           idempo::rate_limit(idempo::memory_rate_limiter({.limit = 10, .window = 1min}),
                              {.client = idempo::client::field("Host")}) |
           idempo::idempotency(store, {.require_key = true, .lease = 10s, .wait = 2s}) |
           [doc_root](auto&& req) { return handle_request(doc_root, std::move(req)); };
}

auto const in_generic_lambda = [](auto store, std::string const& doc_root) {
    auto const plain =
        idempo::idempotency(store) | [&](auto&& req) { return handle_request(doc_root, std::move(req)); };
    auto const empty = idempo::idempotency(store, {}) | plain;
    auto const temporary = idempo::idempotency(store, idempo::options{.key_namespace = "b"}) | plain;
    auto const limited = idempo::idempotency(
        store, {.methods = {http::verb::post}, .key_namespace = "c", .same_request = {.fields = {"Content-Type"}}});
    auto const signing = idempo::hmac_auth({.secret = "s", .signed_fields = {"Idempotency-Key"}}) | plain;
    static_cast<void>(signing);
    static_cast<void>(limited);
    return empty(keyed_request()).body() + temporary(keyed_request()).body();
};

template <class Store>
class server {
public:
    explicit server(Store store) : store_(std::move(store)) {}

    auto handle() {
        idempo::options options{
            .require_key = true,
            .scope = idempo::scope::principal([](auto const&) { return std::string("user-1"); }),
            .lease = 10s,
            .retention = 48h,
            .wait = 2s,
        };
        return idempo::idempotency(store_, options) | [](auto&& req) { return handle_request("/srv", std::move(req)); };
    }

    /// Each of the options, as temporaries.
    static auto all() {
        return std::tuple{idempo::options{},
                          idempo::options::stripe(),
                          idempo::cors_options{.origins = {"https://shop.example"}},
                          idempo::hmac_options{.secret = "s"},
                          idempo::rate_limit_options{.name = "a"},
                          idempo::memory_rate_limiter_options{},
                          idempo::memory_store_options{},
                          idempo::offload_options{},
                          idempo::read_options{},
                          idempo::redis_options{.host = "redis.internal"},
                          idempo::postgres_options{.connection = "host=db"},
                          idempo::transactional_options{.connections = 2}};
    }

private:
    Store store_;
};

}  // namespace

TEST_CASE("snippets: in a function template", "[snippets]") {
    auto const handle = in_function_template(idempo::memory_store({.max_records = 10}), "/srv");
    CHECK(handle(keyed_request()).body() == "/srv");
    CHECK(handle(unkeyed_request()).result_int() == 400);
}

TEST_CASE("snippets: in a generic lambda", "[snippets]") {
    CHECK(in_generic_lambda(idempo::memory_store(), "/a") == "/a/a");
}

TEST_CASE("snippets: in a class template", "[snippets]") {
    server<idempo::memory_store> tested{idempo::memory_store()};
    auto const handle = tested.handle();
    CHECK(handle(keyed_request()).body() == "/srv");
    CHECK(is_replay(handle(keyed_request())));
    CHECK(std::get<2>(server<idempo::memory_store>::all()).origins.size() == 1);
}
