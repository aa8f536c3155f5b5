// SPDX-License-Identifier: MIT

// An answer that a layer further in gives instead of the handler is not stored by a layer further out.

#include <idempo/layers/cors.hpp>
#include <idempo/layers/hmac_auth.hpp>
#include <idempo/layers/idempotency.hpp>
#include <idempo/layers/rate_limit.hpp>
#include <idempo/stores/memory_store.hpp>

#include "support/catch.hpp"
#include "support/requests.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>

namespace {

using namespace idempo::tests;
namespace asio = boost::asio;

/// What the handler does while it runs.
using during = std::function<void()>;

text_response created(int& runs, during const& act) {
    ++runs;
    if (act) act();
    text_response response(http::status::created, 11);
    response.body() = "run " + std::to_string(runs);
    response.prepare_payload();
    return response;
}

struct plain_handler {
    int& runs;
    during const& act;
    text_response operator()(text_request const&) const { return created(runs, act); }
};

struct coroutine_handler {
    int& runs;
    during const& act;
    asio::awaitable<text_response> operator()(text_request) const { co_return created(runs, act); }
};

struct token_handler {
    int& runs;
    during const& act;
    template <class Token>
    void operator()(text_request const&, Token done) const {
        done(http::message_generator(created(runs, act)));
    }
};

template <class Handle>
text_response send(Handle const& handle, text_request request) {
    if constexpr (idempo::sync_handler<Handle const, text_request>) {
        return read(handle(std::move(request)));
    } else {
        asio::io_context context;
        std::optional<text_response> answer;
        handle(std::move(request), asio::bind_executor(context, [&answer](http::message_generator message) {
                   answer = read(std::move(message));
               }));
        context.run();
        return answer.value();
    }
}

template <class Visit>
void with_every_handler(int& runs, during const& act, Visit visit) {
    visit("function", plain_handler{runs, act});
    visit("coroutine", coroutine_handler{runs, act});
    visit("token", idempo::async_handler(token_handler{runs, act}));
}

auto limit_of_one() {
    return idempo::rate_limit(idempo::memory_rate_limiter({.limit = 1, .window = std::chrono::hours(1)}),
                              {.client = idempo::client::field("Host")});
}

idempo::options storing_everything() {
    idempo::options options;
    options.store_if = [](unsigned) { return true; };
    return options;
}

}  // namespace

TEST_CASE("inner refusals: a 409 of an inner idempotency layer is not stored by an outer one", "[layers]") {
    int runs = 0;
    during act;
    with_every_handler(runs, act, [&](char const* kind, auto handler) {
        CAPTURE(kind);
        runs = 0;
        idempo::memory_store const far;
        auto const inner = idempo::idempotency(far) | handler;
        auto const both = idempo::idempotency(idempo::memory_store(), storing_everything()) |
                          idempo::cors({.origins = {"*"}}) | idempo::idempotency(far) | handler;
        std::optional<unsigned> meanwhile;
        act = [&] { meanwhile = send(both, keyed_request()).result_int(); };
        CHECK(send(inner, keyed_request()).result_int() == 201);
        act = nullptr;
        CHECK(meanwhile == 409);
        auto const retried = send(both, keyed_request());
        CHECK(retried.result_int() == 201);
        CHECK(is_replay(retried));
        CHECK(runs == 1);
        // Now the outer one has it, too.
        CHECK(is_replay(send(both, keyed_request())));
    });
}

TEST_CASE("inner refusals: a 429 is not stored", "[layers]") {
    int runs = 0;
    during const act;
    with_every_handler(runs, act, [&](char const* kind, auto handler) {
        CAPTURE(kind);
        runs = 0;
        auto const check = [&](auto const& layers) {
            auto const handle = layers | handler;
            CHECK(send(handle, keyed_request("first")).result_int() == 201);
            auto const refused = send(handle, keyed_request("second"));
            CHECK(refused.result_int() == 429);
            auto const retried = send(handle, keyed_request("second"));
            CHECK(retried.result_int() == 429);
            CHECK_FALSE(is_replay(retried));
        };
        auto const ours = [] { return idempo::idempotency(idempo::memory_store(), storing_everything()); };
        check(ours() | limit_of_one());
        check(ours() | idempo::cors({.origins = {"*"}}) | limit_of_one());
        check(ours() | limit_of_one() | idempo::cors({.origins = {"*"}}));
        CHECK(runs == 3);
    });
}

TEST_CASE("inner refusals: a 401 is not stored", "[layers]") {
    int runs = 0;
    during const act;
    with_every_handler(runs, act, [&](char const* kind, auto handler) {
        CAPTURE(kind);
        runs = 0;
        bool let_pass = false;
        auto const handle =
            idempo::idempotency(idempo::memory_store(), storing_everything()) |
            idempo::hmac_auth({.secret = "secret", .applies = [&](idempo::request_head const&) { return !let_pass; }}) |
            handler;
        CHECK(send(handle, keyed_request()).result_int() == 401);
        let_pass = true;
        CHECK(send(handle, keyed_request()).result_int() == 201);
        CHECK(runs == 1);
    });
}

TEST_CASE("inner refusals: what the handler says of its effect holds in every layer", "[layers]") {
    idempo::memory_store const near;
    idempo::memory_store const far;
    int runs = 0;
    auto const handle = idempo::idempotency(near, storing_everything()) | idempo::idempotency(far) |
                        [&runs](text_request const&, idempo::execution& execution) {
                            ++runs;
                            execution.release();
                            return text_response(http::status::created, 11);
                        };
    CHECK_FALSE(is_replay(send(handle, keyed_request())));
    CHECK_FALSE(is_replay(send(handle, keyed_request())));
    CHECK(runs == 2);
}

TEST_CASE("inner refusals: a handler's own replay marker does not go out, an inner layer's does", "[layers]") {
    auto const marked = [](text_request const&) {
        text_response response(http::status::created, 11);
        response.set(replayed, "true");
        return response;
    };
    auto const handle = idempo::idempotency(idempo::memory_store()) | marked;
    CHECK_FALSE(is_replay(send(handle, keyed_request())));
    CHECK(is_replay(send(handle, keyed_request())));

    auto const generating =
        idempo::idempotency(idempo::memory_store()) |
        [marked](text_request const& request) -> http::message_generator { return marked(request); };
    CHECK_FALSE(is_replay(send(generating, keyed_request())));
    CHECK(is_replay(send(generating, keyed_request())));

    idempo::memory_store const far;
    CHECK_FALSE(is_replay(send(idempo::idempotency(far) | marked, keyed_request())));
    CHECK(is_replay(
        send(idempo::idempotency(idempo::memory_store()) | idempo::idempotency(far) | marked, keyed_request())));
}
