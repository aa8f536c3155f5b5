// SPDX-License-Identifier: MIT

// Tokens and handlers of every kind of executor, cancellation, and options in templates.

#include <idempo/layers/cors.hpp>
#include <idempo/layers/idempotency.hpp>
#include <idempo/stores/memory_store.hpp>
#include <idempo/stores/offload.hpp>

#include "support/catch.hpp"
#include "support/requests.hpp"

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace {

using namespace std::chrono_literals;
using namespace idempo::tests;
namespace asio = boost::asio;

text_response created() {
    text_response response(http::status::created, 11);
    response.prepare_payload();
    return response;
}

using message_handler = asio::any_completion_handler<void(http::message_generator)>;
using context_executor = asio::io_context::executor_type;
using context_strand = asio::strand<context_executor>;

}  // namespace

TEST_CASE("executors: a type-erased completion handler keeps its executor", "[executors]") {
    asio::io_context context;
    auto const strand = asio::make_strand(context);
    int completions = 0;
    int handlers = 0;
    auto const make_done = [&] {
        return message_handler(asio::bind_executor(strand, [&](http::message_generator message) {
            CHECK(strand.running_in_this_thread());
            CHECK(read(std::move(message)).result_int() == 201);
            ++completions;
        }));
    };
    auto const coroutine = [&](text_request) -> asio::awaitable<text_response> {
        // Not on `this_coro::executor`: a type-erased executor hides its context, so a timer on it would be one of the
        // system's context, whose thread may outlive the test's context.
        asio::steady_timer timer(context, 1ms);
        co_await timer.async_wait(asio::use_awaitable);
        CHECK(strand.running_in_this_thread());
        ++handlers;
        co_return created();
    };
    SECTION("with a store that never blocks") {
        auto const handle = idempo::idempotency(idempo::memory_store()) | coroutine;
        handle(keyed_request(), make_done());
        handle(unkeyed_request(), make_done());
        context.run();
    }
    SECTION("with a store that has an executor") {
        asio::thread_pool pool(1);
        auto const offloaded = idempo::offload(idempo::memory_store(), pool.get_executor());
        auto const handle = idempo::cors({.origins = {"*"}}) | idempo::idempotency(offloaded) | coroutine;
        auto const work = asio::make_work_guard(context);
        handle(keyed_request(), make_done());
        handle(unkeyed_request(), make_done());
        while (completions < 2) context.run_one();
        pool.join();
    }
    CHECK(completions == 2);
    CHECK(handlers == 2);
}

TEST_CASE("executors: a coroutine may be bound to one type of executor", "[executors]") {
    asio::io_context context;
    auto const handle = idempo::cors({.origins = {"*"}}) | idempo::idempotency(idempo::memory_store()) |
                        [](text_request) -> asio::awaitable<text_response, context_strand> {
        co_await asio::post(asio::use_awaitable_t<context_strand>());
        co_return created();
    };
    std::optional<unsigned> status;
    auto const done = [&status](http::message_generator message) { status = read(std::move(message)).result_int(); };
    auto const with_key = GENERATE(true, false);
    auto const request = with_key ? keyed_request() : unkeyed_request();

    SECTION("that of the token") {
        handle(request, asio::bind_executor(asio::make_strand(context.get_executor()), done));
        context.run();
        CHECK(status == 201);
    }
    SECTION("not another") {
        handle(request, asio::bind_executor(context, done));
        context.run();
        CHECK(status == 500);
    }
}

TEST_CASE("executors: cancellation reaches the handler of a request without a key", "[executors]") {
    asio::io_context context;
    auto const wait = [](text_request) -> asio::awaitable<text_response> {
        asio::steady_timer timer(co_await asio::this_coro::executor, 1h);
        co_await timer.async_wait(asio::use_awaitable);
        co_return created();
    };
    auto const wait_with_token = idempo::async_handler([](text_request const&, auto done) {
        auto const slot = asio::get_associated_cancellation_slot(done);
        auto const executor = asio::get_associated_executor(done);
        auto timer = std::make_shared<asio::steady_timer>(executor, 1h);
        auto& waiting = *timer;
        waiting.async_wait(asio::bind_cancellation_slot(
            slot, asio::bind_executor(executor, [timer, done = std::move(done)](idempo::error_code error) mutable {
                CHECK(error == asio::error::operation_aborted);
                done(http::message_generator(created()));
            })));
    });
    std::optional<unsigned> status;
    auto const check = [&](auto const& handle, text_request const& request, unsigned expected) {
        asio::cancellation_signal signal;
        handle(request, asio::bind_cancellation_slot(
                            signal.slot(), asio::bind_executor(context, [&status](http::message_generator message) {
                                status = read(std::move(message)).result_int();
                            })));
        asio::post(context, [&signal] { signal.emit(asio::cancellation_type::terminal); });
        context.run();
        CHECK(status == expected);
    };
    auto const ours = idempo::idempotency(idempo::memory_store());
    auto const cors = idempo::cors({.origins = {"*"}});

    SECTION("a coroutine") { check(ours | wait, unkeyed_request(), 500); }
    SECTION("a coroutine behind another layer, alone") { check(cors | wait, keyed_request(), 500); }
    SECTION("a coroutine behind both") { check(cors | ours | wait, unkeyed_request(), 500); }
    SECTION("a handler with a token") { check(ours | wait_with_token, unkeyed_request(), 201); }
    SECTION("a handler with a token behind both") { check(cors | ours | wait_with_token, unkeyed_request(), 201); }
}

TEST_CASE("executors: a handler may return a reference to its response", "[executors]") {
    text_response kept = created();
    auto const handle = idempo::idempotency(idempo::memory_store()) |
                        [&kept](text_request const&) -> text_response&& { return std::move(kept); };
    static_assert(std::is_same_v<decltype(handle(unkeyed_request())), text_response>);
    bool const with_key = GENERATE(true, false);
    text_response const answer = handle(with_key ? keyed_request() : unkeyed_request());
    CHECK(answer.result_int() == 201);
}

// GCC 12 crashes on braced arguments in templates where a default of the options has braces of its own.
namespace {

template <class Store>
auto in_function_template(Store store) {
    auto const handler = [](text_request const&) { return created(); };
    auto const braced = idempo::cors({.origins = {"https://shop.example"}}) |
                        idempo::idempotency(store, {.require_key = true}) | handler;
    auto const empty = idempo::idempotency(store, {}) | handler;
    auto const named = idempo::idempotency(store, idempo::options{.require_key = true}) | handler;
    return empty(unkeyed_request()).result_int() + read(braced(unkeyed_request())).result_int() +
           named(unkeyed_request()).result_int();
}

template <class Store>
struct class_template {
    Store store;
    unsigned status() const {
        auto const handle =
            idempo::idempotency(store, {.require_key = true}) | [](text_request const&) { return created(); };
        return handle(unkeyed_request()).result_int();
    }
};

}  // namespace

TEST_CASE("executors: options in braces may stand in templates", "[options]") {
    CHECK(in_function_template(idempo::memory_store()) == 201 + 400 + 400);
    CHECK(class_template<idempo::memory_store>{idempo::memory_store()}.status() == 400);
    auto const lambda = [](auto store) {
        auto const handle = idempo::cors({.origins = {"*"}}) | idempo::idempotency(store, {.require_key = true}) |
                            [](text_request const&) { return created(); };
        return handle(unkeyed_request()).result_int();
    };
    CHECK(lambda(idempo::memory_store()) == 400);
}

TEST_CASE("middleware: while it drains, new keyed requests are refused and connections are closed", "[drain]") {
    asio::io_context context;
    std::optional<message_handler> running;
    auto const handle =
        idempo::idempotency(idempo::memory_store(), {.echo_key = true}) |
        idempo::async_handler([&](text_request const&, auto done) { running.emplace(std::move(done)); });
    std::optional<text_response> first;
    std::optional<text_response> second;
    auto const into = [&context](std::optional<text_response>& answer) {
        return asio::bind_executor(context,
                                   [&answer](http::message_generator message) { answer = read(std::move(message)); });
    };
    handle(keyed_request("first"), into(first));
    handle.begin_drain();
    CHECK_FALSE(handle.drain(0ms));
    handle(keyed_request("second"), into(second));
    std::exchange(running, std::nullopt).value()(http::message_generator(created()));
    context.run();
    REQUIRE((first && second));
    CHECK(first->result_int() == 201);
    CHECK_FALSE(first->keep_alive());
    CHECK((*first)["Idempotency-Key"] == "first");
    CHECK(second->result_int() == 503);
    CHECK_FALSE(second->keep_alive());
    CHECK(second->count(http::field::retry_after) == 1);
    CHECK(handle.drain(0ms));
}
