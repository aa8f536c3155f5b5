// SPDX-License-Identifier: MIT

// Where a session awaits a call and its handler is a coroutine too, a layer awaits the handler in the session's own
// coroutine, unless a key is involved.

#include <idempo/execution.hpp>
#include <idempo/layers/cors.hpp>
#include <idempo/layers/hmac_auth.hpp>
#include <idempo/layers/idempotency.hpp>
#include <idempo/observer.hpp>
#include <idempo/stores/memory_store.hpp>

#include "support/catch.hpp"
#include "support/requests.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
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

    // Under a key the handler goes on whatever becomes of the session, and so has a coroutine of its own.
    auto const keyed = in_session([&] { return ours(keyed_request(), asio::use_awaitable); });
    CHECK(keyed.turns > bare.turns);
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
    auto alive = std::make_shared<int>(7);
    std::weak_ptr<int> const watched = alive;
    auto handler = [alive = std::move(alive)](text_request request) -> asio::awaitable<text_response> {
        auto const executor = co_await asio::this_coro::executor;
        co_await asio::post(executor, asio::use_awaitable);
        CHECK(*alive == 7);
        co_return text_response(http::status::created, request.version());
    };
    auto handle = std::make_optional(idempo::idempotency(idempo::memory_store()) | std::move(handler));
    auto const answered = in_session([&] {
        auto call = (*handle)(unkeyed_request(), asio::use_awaitable);
        handle.reset();
        CHECK_FALSE(watched.expired());
        return call;
    });
    CHECK(answered.response->result() == http::status::created);
    CHECK(watched.expired());
}

TEST_CASE("awaiting: cancelling the session reaches the handler of a request without a key") {
    asio::io_context context;
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
    auto session = [&]() -> asio::awaitable<void> { co_await handle(unkeyed_request(), asio::use_awaitable); };
    asio::cancellation_signal signal;
    asio::co_spawn(context, session, asio::bind_cancellation_slot(signal.slot(), [](std::exception_ptr) {}));
    asio::post(context, [&signal] { signal.emit(asio::cancellation_type::terminal); });
    context.run();
    CHECK(was_cancelled);
}
