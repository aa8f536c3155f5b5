// SPDX-License-Identifier: MIT

// Layers before handlers of every kind, alone and in orders that make sense, in every style of call.

#include <idempo/layers/cors.hpp>
#include <idempo/layers/hmac_auth.hpp>
#include <idempo/layers/idempotency.hpp>
#include <idempo/layers/rate_limit.hpp>
#include <idempo/stores/memory_store.hpp>

#include "support/catch.hpp"
#include "support/rate_limit_fields.hpp"
#include "support/recording_executor.hpp"
#include "support/requests.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <atomic>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace idempo::tests;
namespace asio = boost::asio;

std::string const secret = "tale of two cities";
std::string const origin = "https://shop.example";

/// What was run, and whether it was under a key.
struct runs {
    int count = 0;
    int keyed = 0;
};

text_response created(runs& runs, idempo::execution const& execution) {
    ++runs.count;
    if (execution.keyed()) ++runs.keyed;
    text_response response{http::status::created, 11};
    response.set("X-Run", std::to_string(runs.count));
    response.body() = "run " + std::to_string(runs.count);
    response.prepare_payload();
    return response;
}

struct plain_handler {
    runs& told;
    text_response operator()(text_request const&, idempo::execution& execution) const {
        return created(told, execution);
    }
};

struct generating_handler {
    runs& told;
    http::message_generator operator()(text_request const&, idempo::execution& execution) const {
        return created(told, execution);
    }
};

struct coroutine_handler {
    runs& told;
    asio::awaitable<http::message_generator> operator()(text_request, idempo::execution& execution) const {
        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
        co_return created(told, execution);
    }
};

struct token_handler {
    runs& told;
    template <class Token>
    void operator()(text_request const&, idempo::execution& execution, Token done) const {
        auto const executor = asio::get_associated_executor(done);
        asio::post(executor, [this, &execution, done = std::move(done)]() mutable {
            std::move(done)(http::message_generator(created(told, execution)));
        });
    }
};

std::string signature_of(std::string_view body) {
    idempo::detail::hmac_key const key(secret);
    idempo::detail::hmac_sha256 mac(key);
    mac.update(body);
    auto const digest = mac.finish();
    return idempo::to_hex({reinterpret_cast<char const*>(digest.data()), digest.size()});
}

/// Answers in a thread of its own, often before the call that asks has returned.
struct prompt_limiter {
    asio::thread_pool::executor_type executor;

    [[nodiscard]] asio::thread_pool::executor_type get_executor() const { return executor; }
    [[nodiscard]] static idempo::rate get_rate() { return {}; }
    template <class Done>
    void async_take(idempo::store_key const&, Done done) const {
        asio::post(executor, [done = std::move(done)]() mutable {
            std::move(done)(idempo::error_code(), idempo::rate_decision(true, 1, std::chrono::milliseconds(1)));
        });
    }
};

text_request order(std::string_view key, bool is_signed = true) {
    auto request = keyed_request(key);
    if (is_signed) request.set("X-Signature", signature_of(request.body()));
    request.set("Origin", origin);
    request.set("Host", "service");
    return request;
}

auto cors() { return idempo::cors({.origins = {origin}}); }
auto hmac() { return idempo::hmac_auth({.secret = secret}); }
auto limit(unsigned requests = 3) {
    return idempo::rate_limit(idempo::memory_rate_limiter({.limit = requests, .window = std::chrono::hours(1)}),
                              {.client = idempo::client::field("Host")});
}
auto idempotency() { return idempo::idempotency(idempo::memory_store(), {.scope = idempo::scope::single_tenant()}); }

/// Calls a handle in the style of a coroutine session.
template <class Handle>
text_response await_answer(Handle const& handle, text_request request) {
    asio::io_context context;
    std::optional<http::message_generator> message;
    asio::co_spawn(
        context,
        [&]() -> asio::awaitable<void> { message.emplace(co_await handle(std::move(request), asio::use_awaitable)); },
        [](std::exception_ptr exception) {
            if (exception) std::rethrow_exception(exception);
        });
    context.run();
    return read(std::move(message.value()));
}

/// Calls a handle in the style of a callback session; fails where the callback is not run by its executor.
template <class Handle>
text_response call_back(Handle const& handle, text_request request) {
    asio::io_context context;
    auto const executor = recording_executor::around(context.get_executor());
    std::optional<http::message_generator> message;
    bool inside = true;
    handle(std::move(request), asio::bind_executor(executor, [&](http::message_generator answer) {
               CHECK(executor.is_running());
               CHECK_FALSE(inside);
               message.emplace(std::move(answer));
           }));
    inside = false;
    context.run();
    return read(std::move(message.value()));
}

template <class Handle>
text_response call_plainly(Handle const& handle, text_request request) {
    return read(handle(std::move(request)));
}

/// What every stack with all four layers does, however it is called.
template <class Handle, class Call>
void check_stack(Handle const& handle, runs const& runs, Call call) {
    auto const first = call(handle, order("key-1"));
    CHECK(first.result_int() == 201);
    CHECK(first.body() == "run 1");
    CHECK(remaining_in(first) == "2");
    CHECK(first["RateLimit-Policy"] == R"("default";q=3;w=3600)");
    CHECK(first["Access-Control-Allow-Origin"] == origin);
    CHECK(first["Vary"] == "Origin");
    CHECK_FALSE(is_replay(first));

    auto const again = call(handle, order("key-1"));
    CHECK(again.result_int() == 201);
    CHECK(again.body() == "run 1");
    CHECK(again["X-Run"] == "1");
    CHECK(remaining_in(again) == "1");
    CHECK(again.count("RateLimit") == 1);
    CHECK(is_replay(again));

    auto const unsigned_order = call(handle, order("key-2", false));
    CHECK(unsigned_order.result_int() == 401);
    CHECK(unsigned_order["Access-Control-Allow-Origin"] == origin);

    CHECK(call(handle, order("key-3")).result_int() == 201);
    auto const refused = call(handle, order("key-4"));
    CHECK(refused.result_int() == 429);
    CHECK(remaining_in(refused) == "0");
    CHECK(refused.count("Retry-After") == 1);
    CHECK(refused["Access-Control-Allow-Origin"] == origin);
    CHECK(runs.count == 2);
    CHECK(runs.keyed == 2);
}

auto const plainly = [](auto const& handle, text_request request) { return call_plainly(handle, std::move(request)); };
auto const by_callback = [](auto const& handle, text_request request) { return call_back(handle, std::move(request)); };
auto const by_coroutine = [](auto const& handle, text_request request) {
    return await_answer(handle, std::move(request));
};

}  // namespace

TEST_CASE("layers: the whole stack, in every style, before every kind of handler", "[layers]") {
    runs runs;
    auto const stack = [&] { return cors() | hmac() | limit() | idempotency(); };
    SECTION("plain, plainly") { check_stack(stack() | plain_handler{runs}, runs, plainly); }
    SECTION("plain, by callback") { check_stack(stack() | plain_handler{runs}, runs, by_callback); }
    SECTION("plain, by coroutine") { check_stack(stack() | plain_handler{runs}, runs, by_coroutine); }
    SECTION("generating, plainly") { check_stack(stack() | generating_handler{runs}, runs, plainly); }
    SECTION("generating, by callback") { check_stack(stack() | generating_handler{runs}, runs, by_callback); }
    SECTION("coroutine, by callback") { check_stack(stack() | coroutine_handler{runs}, runs, by_callback); }
    SECTION("coroutine, by coroutine") { check_stack(stack() | coroutine_handler{runs}, runs, by_coroutine); }
    SECTION("token, by callback") {
        check_stack(stack() | idempo::async_handler(token_handler{runs}), runs, by_callback);
    }
    SECTION("token, by coroutine") {
        check_stack(stack() | idempo::async_handler(token_handler{runs}), runs, by_coroutine);
    }
}

TEST_CASE("layers: inside the idempotency layer, too, where the execution goes on to the handler", "[layers]") {
    runs runs;
    auto const check = [&](auto const& handle, auto call) {
        CHECK(call(handle, order("key-1")).body() == "run 1");
        CHECK(is_replay(call(handle, order("key-1"))));
        // Refused inside: released, since it did not happen.
        CHECK(call(handle, order("key-2", false)).result_int() == 401);
        CHECK(call(handle, order("key-2")).body() == "run 2");
        CHECK(call(handle, order("key-3")).body() == "run 3");
        CHECK(call(handle, order("key-4")).result_int() == 429);
        CHECK(is_replay(call(handle, order("key-1"))));
        CHECK(runs.count == 3);
        CHECK(runs.keyed == 3);
    };
    auto const stack = [&] { return idempotency() | hmac() | limit(); };
    SECTION("plain, plainly") { check(stack() | plain_handler{runs}, plainly); }
    SECTION("plain, by callback") { check(stack() | plain_handler{runs}, by_callback); }
    SECTION("generating, plainly") { check(stack() | generating_handler{runs}, plainly); }
    SECTION("coroutine, by coroutine") { check(stack() | coroutine_handler{runs}, by_coroutine); }
    SECTION("token, by callback") { check(stack() | idempo::async_handler(token_handler{runs}), by_callback); }
}

TEST_CASE("layers: each alone, in every style", "[layers]") {
    int count = 0;
    auto const plain = [&](text_request const&) {
        ++count;
        return text_response{http::status::created, 11};
    };
    auto const coroutine = [&](text_request) -> asio::awaitable<text_response> {
        ++count;
        co_return text_response{http::status::created, 11};
    };
    auto const with_token = idempo::async_handler([&](text_request const&, auto done) {
        ++count;
        std::move(done)(http::message_generator(text_response{http::status::created, 11}));
    });
    auto const check = [&](auto const& layer, auto const& judge) {
        judge(layer | plain, plainly);
        judge(layer | plain, by_callback);
        judge(layer | plain, by_coroutine);
        judge(layer | coroutine, by_callback);
        judge(layer | coroutine, by_coroutine);
        judge(layer | with_token, by_callback);
        judge(layer | with_token, by_coroutine);
        CHECK(count == 7);
    };
    SECTION("hmac_auth") {
        check(hmac(), [](auto const& handle, auto call) {
            CHECK(call(handle, order("key-1")).result_int() == 201);
            CHECK(call(handle, order("key-1", false)).result_int() == 401);
        });
    }
    SECTION("rate_limit: the handlers of one layer share it") {
        unsigned remaining = 7;
        check(limit(7), [&](auto const& handle, auto call) {
            auto const response = call(handle, order("key-1"));
            CHECK(response.result_int() == 201);
            CHECK(remaining_in(response) == std::to_string(--remaining));
        });
    }
    SECTION("cors") {
        check(cors(), [](auto const& handle, auto call) {
            CHECK(call(handle, order("key-1"))["Access-Control-Allow-Origin"] == origin);
            text_request preflight{http::verb::options, "/charge", 11};
            preflight.set("Origin", origin);
            preflight.set("Access-Control-Request-Method", "POST");
            CHECK(call(handle, preflight).result_int() == 204);
        });
    }
}

TEST_CASE("layers: without an executor everything happens on the calling thread", "[layers]") {
    runs runs;
    auto const handle = cors() | hmac() | limit() | idempotency() | plain_handler{runs};
    std::vector<unsigned> statuses;
    auto const note = [&](http::message_generator message) {
        statuses.push_back(read(std::move(message)).result_int());
    };
    handle(order("key-1"), note);
    handle(order("key-1", false), note);
    CHECK(statuses == std::vector<unsigned>{201, 401});
}

TEST_CASE("layers: the plain call rethrows, the call with a token answers 500 and tells the observer", "[layers]") {
    int told = 0;
    auto const layer = idempo::hmac_auth({.secret = secret, .observer = [&](idempo::event const& event) {
                                              if (event.type == idempo::event_type::handler_threw) ++told;
                                          }});
    auto const plain = layer | [](text_request const&) -> text_response { throw std::runtime_error("broken"); };
    CHECK_THROWS_AS(plain(order("key-1")), std::runtime_error);
    CHECK(call_back(plain, order("key-1")).result_int() == 500);
    CHECK(await_answer(plain, order("key-1")).result_int() == 500);
    auto const coroutine = layer | [](text_request) -> asio::awaitable<text_response> {
        throw std::runtime_error("broken");
        co_return text_response();
    };
    CHECK(call_back(coroutine, order("key-1")).result_int() == 500);
    auto const early =
        layer | idempo::async_handler([](text_request const&, auto) { throw std::runtime_error("broken"); });
    CHECK(call_back(early, order("key-1")).result_int() == 500);
    auto const late = layer | idempo::async_handler([](text_request const&, auto done) {
                          std::move(done)(std::make_exception_ptr(std::runtime_error("broken")));
                      });
    CHECK(call_back(late, order("key-1")).result_int() == 500);
    CHECK(told == 5);
}

TEST_CASE("layers: a handler that throws in another thread, while the call returns, is answered once", "[layers]") {
    constexpr int calls = 2'000;
    asio::thread_pool pool(2);
    auto const handle = idempo::rate_limit(prompt_limiter{pool.get_executor()},
                                           {.client = [](idempo::request_head const&) { return std::string("all"); }}) |
                        [](text_request const&) -> text_response { throw std::runtime_error("broken"); };
    std::atomic<int> answers{0};
    std::atomic<int> refusals{0};
    for (int call = 0; call < calls; ++call) {
        handle(keyed_request("key"), asio::bind_executor(pool.get_executor(), [&](http::message_generator message) {
                   ++answers;
                   if (read(std::move(message)).result_int() == 500) ++refusals;
               }));
    }
    pool.join();
    CHECK(answers == calls);
    CHECK(refusals == calls);
}

TEST_CASE("layers: an exception of a caller's function is treated as if the handler had thrown", "[layers]") {
    auto const layer = idempo::rate_limit(
        idempo::memory_rate_limiter(idempo::rate()),
        {.client = [](idempo::request_head const&) -> std::optional<std::string> { throw std::runtime_error("no"); }});
    auto const handle = layer | [](text_request const&) { return text_response{http::status::created, 11}; };
    CHECK_THROWS_AS(handle(order("key-1")), std::runtime_error);
    CHECK(call_back(handle, order("key-1")).result_int() == 500);
}

TEST_CASE("layers: the answer has the handler's own type where a refusal can be one", "[layers]") {
    auto const text = hmac() | [](text_request const&) { return text_response{http::status::created, 11}; };
    static_assert(std::is_same_v<decltype(text(text_request())), text_response>);
    auto const message = hmac() | [](text_request const&) -> http::message_generator { return text_response(); };
    static_assert(std::is_same_v<decltype(message(text_request())), http::message_generator>);
    auto const empty = hmac() | [](text_request const&) { return http::response<http::empty_body>(); };
    static_assert(std::is_same_v<decltype(empty(text_request())), http::message_generator>);
    CHECK(read(empty(order("key-1"))).result_int() == 200);
}
