// SPDX-License-Identifier: MIT

// Where a session awaits a call and its handler is a coroutine too, a layer awaits the handler in the session's own
// coroutine. With a key it does so only where the session cannot be cancelled.

#include <idempo/execution.hpp>
#include <idempo/layers/cors.hpp>
#include <idempo/layers/hmac_auth.hpp>
#include <idempo/layers/idempotency.hpp>
#include <idempo/listing.hpp>
#include <idempo/observer.hpp>
#include <idempo/stores/memory_store.hpp>
#include <idempo/stores/offload.hpp>

#include "support/catch.hpp"
#include "support/requests.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace idempo::tests;
namespace asio = boost::asio;

asio::awaitable<text_response> created(text_request request) {
    text_response response(http::status::created, request.version());
    response.prepare_payload();
    co_return response;
}

struct outcome {
    std::optional<text_response> response;
    /// Callbacks that the context ran.
    std::size_t turns = 0;
    std::exception_ptr exception;
};

/// Awaits what `call` returns in a session of its own.
template <class Call>
outcome in_session(Call call) {
    asio::io_context context;
    outcome found;
    auto session = [&]() -> asio::awaitable<void> {
        // A session that has waited once ends without a turn more.
        co_await asio::post(asio::use_awaitable);
        auto awaited = call();
        found.response = read(http::message_generator(co_await std::move(awaited)));
    };
    asio::co_spawn(context, session, [&found](std::exception_ptr thrown) { found.exception = std::move(thrown); });
    found.turns = context.run();
    return found;
}

/// That a call for this request needs nothing but itself, and keeps nothing afterwards.
void check_ownership(text_request const& request) {
    auto alive = std::make_shared<int>(7);
    std::weak_ptr<int> const watched = alive;
    auto handler = [alive = std::move(alive)](text_request taken) -> asio::awaitable<text_response> {
        auto const executor = co_await asio::this_coro::executor;
        co_await asio::post(executor, asio::use_awaitable);
        CHECK(*alive == 7);
        co_return text_response(http::status::created, taken.version());
    };
    auto handle = std::make_optional(idempo::idempotency(idempo::memory_store()) | std::move(handler));
    auto const answered = in_session([&] {
        auto call = (*handle)(text_request(request), asio::use_awaitable);
        handle.reset();
        CHECK_FALSE(watched.expired());
        return call;
    });
    CHECK(answered.response->result() == http::status::created);
    CHECK(watched.expired());
}

/// Runs a session that is cancelled while its handler runs.
template <class Handle>
void cancel_in_session(Handle const& handle, text_request const& request) {
    asio::io_context context;
    auto session = [&]() -> asio::awaitable<void> { co_await handle(text_request(request), asio::use_awaitable); };
    asio::cancellation_signal signal;
    asio::co_spawn(context, session, asio::bind_cancellation_slot(signal.slot(), [](std::exception_ptr) {}));
    asio::post(context, [&signal] { signal.emit(asio::cancellation_type::terminal); });
    context.run();
}

}  // namespace

TEST_CASE("awaiting: a request without a key takes no more turns of the context than its handler") {
    auto const bare = in_session([] { return created(unkeyed_request()); });
    auto const ours = idempo::idempotency(idempo::memory_store()) | created;
    auto const cors = idempo::cors({.origins = {"*"}}) | created;

    auto const behind_ours = in_session([&] { return ours(unkeyed_request(), asio::use_awaitable); });
    CHECK(behind_ours.turns == bare.turns);
    CHECK(behind_ours.response->result() == http::status::created);

    auto const behind_cors = in_session([&] { return cors(unkeyed_request(), asio::use_awaitable); });
    CHECK(behind_cors.turns == bare.turns);
    CHECK(behind_cors.response->result() == http::status::created);
}

TEST_CASE("awaiting: a request with a key takes no more turns of the context than its handler") {
    auto const bare = in_session([] { return created(unkeyed_request()); });
    auto const handle = idempo::idempotency(idempo::memory_store()) | created;

    auto const first = in_session([&] { return handle(keyed_request(), asio::use_awaitable); });
    CHECK(first.response->result() == http::status::created);
    CHECK(first.turns == bare.turns);

    auto const replay = in_session([&] { return handle(keyed_request(), asio::use_awaitable); });
    CHECK(replay.response->result() == http::status::created);
    CHECK(is_replay(*replay.response));
    CHECK(replay.turns == bare.turns);
}

TEST_CASE("awaiting: a coroutine that throws under a key is answered by 500, and the observer is told") {
    unsigned told = 0;
    idempo::options options;
    options.observer = [&told](idempo::event const& event) {
        if (event.type == idempo::event_type::handler_threw) ++told;
    };
    auto const fail = [](text_request) -> asio::awaitable<text_response> {
        throw std::runtime_error("no");
        co_return text_response();
    };
    auto const handle = idempo::idempotency(idempo::memory_store(), options) | fail;
    auto const answered = in_session([&] { return handle(keyed_request(), asio::use_awaitable); });
    CHECK(answered.response->result() == http::status::internal_server_error);
    CHECK_FALSE(answered.exception);
    CHECK(told == 1);
}

TEST_CASE("awaiting: under a key the call owns handler and state, and lets go of them when it has answered") {
    check_ownership(keyed_request());
}

TEST_CASE("awaiting: a session whose context ends leaves no claim without a lease") {
    idempo::memory_store const store;
    auto const never = [](text_request) -> asio::awaitable<text_response> {
        asio::steady_timer timer(co_await asio::this_coro::executor, 1h);
        co_await timer.async_wait(asio::use_awaitable);
        co_return text_response();
    };
    auto const handle = idempo::idempotency(store) | never;
    {
        asio::io_context context;
        auto session = [&]() -> asio::awaitable<void> { co_await handle(keyed_request(), asio::use_awaitable); };
        asio::co_spawn(context, session, [](std::exception_ptr) {});
        context.poll();
    }
    auto const conflict = in_session([&] { return handle(keyed_request(), asio::use_awaitable); });
    CHECK(conflict.response->result() == http::status::conflict);
    idempo::error_code error;
    auto const kept = store.list({}, error).records;
    REQUIRE(kept.size() == 1);
    CHECK(kept.front().info.lease_remaining > 0ms);
    CHECK(kept.front().info.lease_remaining < 10min);
}

TEST_CASE("awaiting: a session that waits for a store ends with its context") {
    asio::thread_pool store_threads(1);
    std::weak_ptr<int> watched;
    {
        auto const handle =
            idempo::idempotency(idempo::offload(idempo::memory_store(), store_threads.get_executor())) | created;
        // The store does not answer before the context has ended.
        std::promise<void> goes_on;
        asio::post(store_threads, [&goes_on, waits = goes_on.get_future()]() mutable { waits.wait(); });
        auto session = [&]() -> asio::awaitable<void> {
            auto const alive = std::make_shared<int>(7);
            watched = alive;
            co_await handle(keyed_request(), asio::use_awaitable);
        };
        auto ended = std::make_unique<asio::io_context>();
        asio::co_spawn(*ended, session, [](std::exception_ptr) {});
        ended->poll();
        CHECK_FALSE(watched.expired());
        goes_on.set_value();
        store_threads.join();  // the answer is in the context's queue, and nobody runs it
        ended.reset();
    }
    CHECK(watched.expired());
}

TEST_CASE("awaiting: a session on a strand keeps it") {
    asio::io_context context;
    auto const handle = idempo::idempotency(idempo::memory_store()) | created;
    int answers = 0;
    auto session = [&](int number) -> asio::awaitable<void> {
        auto const request = [number] { return keyed_request(std::to_string(number)); };
        for (int i = 0; i < 3; ++i) {
            auto const answer = read(co_await handle(request(), asio::use_awaitable));
            co_await asio::post(asio::use_awaitable);
            if (answer.result() == http::status::created) ++answers;
        }
    };
    // Under AddressSanitizer, and mostly without it, a strand that is destroyed too often is found out.
    for (int number = 0; number < 4; ++number)
        asio::co_spawn(asio::make_strand(context), session(number),
                       [](std::exception_ptr thrown) { CHECK_FALSE(thrown); });
    context.run();
    CHECK(answers == 12);
}

TEST_CASE("awaiting: a store elsewhere and a context with several threads") {
    // Each session waits twice for a store on other threads, and the turn may come before it waits.
    constexpr int sessions = 8;
    constexpr int requests = 200;
    asio::thread_pool store_threads(2);
    asio::io_context context(2);
    std::atomic<int> runs{0};
    std::atomic<int> answers{0};
    auto const count = [&runs](text_request request) {
        ++runs;
        return created(std::move(request));
    };
    auto const handle =
        idempo::idempotency(idempo::offload(idempo::memory_store(), store_threads.get_executor())) | count;
    auto session = [&](int number) -> asio::awaitable<void> {
        for (int i = 0; i < requests; ++i) {
            // Every second request is a retry of the one before.
            auto request = keyed_request(std::to_string(number) + "-" + std::to_string(i / 2));
            auto const answer = read(co_await handle(std::move(request), asio::use_awaitable));
            if (answer.result() == http::status::created) ++answers;
        }
    };
    for (int number = 0; number < sessions; ++number)
        asio::co_spawn(asio::make_strand(context), session(number),
                       [](std::exception_ptr thrown) { CHECK_FALSE(thrown); });
    std::thread other([&context] { context.run(); });
    context.run();
    other.join();
    CHECK(runs == sessions * requests / 2);
    CHECK(answers == sessions * requests);
}

TEST_CASE("awaiting: cancelling the session does not reach the handler of a request with a key") {
    bool was_cancelled = false;
    auto const wait = [&was_cancelled](text_request request) -> asio::awaitable<text_response> {
        for (int turn = 0; turn < 3; ++turn)
            co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
        was_cancelled = (co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none;
        co_return text_response(http::status::created, request.version());
    };
    auto const handle = idempo::idempotency(idempo::memory_store()) | wait;
    cancel_in_session(handle, keyed_request());
    CHECK_FALSE(was_cancelled);

    auto const replay = in_session([&] { return handle(keyed_request(), asio::use_awaitable); });
    CHECK(is_replay(*replay.response));
}

TEST_CASE("awaiting: a coroutine that throws is answered by 500, and the observer is told") {
    std::vector<std::string> told;
    auto const tell = [&told](idempo::event const& event) {
        if (event.type == idempo::event_type::handler_threw) told.emplace_back("threw");
    };
    auto const fail = [](text_request) -> asio::awaitable<text_response> {
        throw std::runtime_error("no");
        co_return text_response();
    };
    idempo::options options;
    options.observer = tell;
    auto const ours = idempo::idempotency(idempo::memory_store(), options) | fail;
    auto const cors = idempo::cors({.origins = {"*"}}) | fail;

    auto const behind_ours = in_session([&] { return ours(unkeyed_request(), asio::use_awaitable); });
    CHECK(behind_ours.response->result() == http::status::internal_server_error);
    CHECK(told == std::vector<std::string>{"threw"});

    auto const behind_cors = in_session([&] { return cors(unkeyed_request(), asio::use_awaitable); });
    CHECK(behind_cors.response->result() == http::status::internal_server_error);
}

TEST_CASE("awaiting: what the options' own function throws is answered by 500, and the handler does not run") {
    bool has_run = false;
    auto const run = [&has_run](text_request request) {
        has_run = true;
        return created(std::move(request));
    };
    idempo::options options;
    options.applies = [](idempo::request_head const&) -> bool { throw std::runtime_error("no"); };
    auto const ours = idempo::idempotency(idempo::memory_store(), options) | run;
    auto const answered = in_session([&] { return ours(keyed_request(), asio::use_awaitable); });
    CHECK(answered.response->result() == http::status::internal_server_error);
    CHECK_FALSE(has_run);
}

TEST_CASE("awaiting: a filter that refuses answers itself, and the handler does not run") {
    bool has_run = false;
    auto const run = [&has_run](text_request request) {
        has_run = true;
        return created(std::move(request));
    };
    auto const signed_only = idempo::hmac_auth({.secret = "It was a bright cold day in April"}) | run;
    auto const answered = in_session([&] { return signed_only(unkeyed_request(), asio::use_awaitable); });
    CHECK(answered.response->result() == http::status::unauthorized);
    CHECK_FALSE(has_run);
}

TEST_CASE("awaiting: the call owns handler and state, and lets go of them when it has answered") {
    check_ownership(unkeyed_request());
}

TEST_CASE("awaiting: cancelling the session reaches the handler of a request without a key") {
    bool was_cancelled = false;
    auto const wait = [&was_cancelled](text_request request) -> asio::awaitable<text_response> {
        asio::steady_timer timer(co_await asio::this_coro::executor, 1h);
        try {
            co_await timer.async_wait(asio::use_awaitable);
        } catch (boost::system::system_error const& error) {
            was_cancelled = error.code() == asio::error::operation_aborted;
        }
        co_return text_response(http::status::created, request.version());
    };
    auto const handle = idempo::idempotency(idempo::memory_store()) | wait;
    cancel_in_session(handle, unkeyed_request());
    CHECK(was_cancelled);
}
