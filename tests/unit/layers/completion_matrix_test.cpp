// SPDX-License-Identifier: MIT

// Every style of call, in every order of layers, for every way in which a handler can end: the completion is called
// once, and what goes over the wire is one whole answer.

#include <idempo/layers/cors.hpp>
#include <idempo/layers/idempotency.hpp>
#include <idempo/layers/rate_limit.hpp>
#include <idempo/stores/memory_store.hpp>

#include "support/catch.hpp"
#include "support/completion_scene.hpp"
#include "support/requests.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <chrono>
#include <exception>
#include <stdexcept>
#include <utility>
#include <vector>

namespace {

using namespace idempo::tests;

auto cors() { return idempo::cors({.origins = {"https://shop.example"}}); }

auto limit() {
    return idempo::rate_limit(idempo::memory_rate_limiter({.limit = 10000, .window = std::chrono::hours(1)}),
                              {.client = idempo::client::field("Host")});
}

/// Calls with each order of the layers.
template <class Visit>
void in_every_order(Visit visit) {
    auto const ours = [] { return idempo::idempotency(idempo::memory_store()); };
    visit("idempotency", ours());
    visit("cors | rate_limit | idempotency", cors() | limit() | ours());
    visit("cors | idempotency | rate_limit", cors() | ours() | limit());
    visit("rate_limit | cors | idempotency", limit() | cors() | ours());
    visit("rate_limit | idempotency | cors", limit() | ours() | cors());
    visit("idempotency | cors | rate_limit", ours() | cors() | limit());
    visit("idempotency | rate_limit | cors", ours() | limit() | cors());
    visit("idempotency | idempotency", ours() | ours());
}

template <class Call>
void check_all(Call call, auto make_handler, std::vector<ending> const& endings) {
    in_every_order([&](char const* name, auto const& layers) {
        scene told;
        auto const handle = layers | make_handler(told);
        for (auto const how : endings) {
            for (auto const method : {http::verb::head, http::verb::get, http::verb::post}) {
                CAPTURE(name, static_cast<int>(how), method);
                check(told, call, handle, how, method);
            }
        }
    });
}

}  // namespace

TEST_CASE("completion: once in every order of layers, around functions", "[completion]") {
    auto const make = [](scene& told) { return plain_handler{told}; };
    SECTION("the one-argument call") { check_all(with_one_argument(), make, by_returning); }
    SECTION("a token with an executor") { check_all(with_token(), make, by_returning); }
}

TEST_CASE("completion: once for a callback without an executor", "[completion]") {
    scene told;
    auto const handle = cors() | idempo::idempotency(idempo::memory_store()) | plain_handler{told};
    for (auto const how : by_returning) {
        for (auto const method : {http::verb::head, http::verb::get, http::verb::post}) {
            check(told, with_bare_callback(), handle, how, method);
        }
    }
}

TEST_CASE("completion: what it throws leaves the call or the executor, and it is not called again", "[completion]") {
    struct gone : std::runtime_error {
        using std::runtime_error::runtime_error;
    };
    int completions = 0;
    auto const fail = [&completions](http::message_generator) {
        ++completions;
        throw gone("the peer has gone");
    };
    auto const check_thrown = [&](auto const& handle) {
        asio::io_context context;
        auto const send = [&] { handle(keyed_request(), asio::bind_executor(context, fail)); };
        asio::post(context, send);
        CHECK_THROWS_AS(context.run(), gone);
        CHECK_NOTHROW(context.run());
        CHECK(completions == 1);
    };
    scene told;
    auto const ours = idempo::idempotency(idempo::memory_store());
    bool const suspends = GENERATE(false, true);
    CAPTURE(suspends);

    SECTION("a function") { check_thrown(ours | plain_handler{told}); }
    SECTION("a function behind a layer") { check_thrown(cors() | ours | plain_handler{told}); }
    SECTION("a handler with a token") { check_thrown(ours | idempo::async_handler(token_handler{told, suspends})); }
    SECTION("a handler with a token, behind a layer") {
        check_thrown(cors() | ours | idempo::async_handler(token_handler{told, suspends}));
    }
    SECTION("a coroutine") { check_thrown(ours | coroutine_handler{told, suspends}); }
    SECTION("a callback without an executor") {
        auto const handle = cors() | ours | plain_handler{told};
        CHECK_THROWS_AS(handle(keyed_request(), fail), gone);
        CHECK(completions == 1);
    }
    CHECK(told.runs == 1);
}

TEST_CASE("completion: once in every order of layers, around handlers with a token", "[completion]") {
    bool const suspends = GENERATE(false, true);
    CAPTURE(suspends);
    check_all(
        with_token(),
        [&](scene& told) {
            return idempo::async_handler(token_handler{told, suspends});
        },
        by_calling);
}

TEST_CASE("completion: once in every order of layers, around coroutines", "[completion]") {
    bool const suspends = GENERATE(false, true);
    CAPTURE(suspends);
    check_all(
        with_token(),
        [&](scene& told) {
            return coroutine_handler{told, suspends};
        },
        by_returning);
}

TEST_CASE("completion: what a handler throws after its answer reaches the observer", "[completion]") {
    std::vector<idempo::event> thrown;
    idempo::observer const observer = [&thrown](idempo::event const& event) {
        if (event.type == idempo::event_type::handler_threw) thrown.push_back(event);
    };
    idempo::options options;
    options.observer = observer;
    scene told;
    told.how = ending::answers_then_throws;
    auto const handler = idempo::async_handler(token_handler{told, false});
    auto const limiter = idempo::memory_rate_limiter({.limit = 10, .window = std::chrono::hours(1)});
    auto const limited =
        idempo::rate_limit(limiter, {.client = idempo::client::field("Host"), .observer = observer}) | handler;
    auto const check_told = [&](auto const& handle, text_request request, bool is_keyed) {
        with_token()(told, handle, std::move(request));
        CHECK(told.completions == 1);
        REQUIRE(thrown.size() == 1);
        CHECK_THROWS_WITH(std::rethrow_exception(thrown.front().exception), "a line of the log");
        CHECK((thrown.front().key != idempo::store_key()) == is_keyed);
    };
    auto const ours = idempo::idempotency(idempo::memory_store(), options);
    SECTION("under a key") { check_told(ours | handler, keyed_request(), true); }
    SECTION("without a key") { check_told(ours | handler, unkeyed_request(), false); }
    SECTION("behind a layer") { check_told(limited, unkeyed_request(), false); }
    SECTION("behind a layer, under a key") { check_told(ours | limited, keyed_request(), false); }
}
