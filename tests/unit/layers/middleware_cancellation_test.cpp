// SPDX-License-Identifier: MIT

// Every suspension point is cancelled or cut off; and where everything runs.

#include "support/catch.hpp"
#include "support/charges.hpp"
#include "support/fault_store.hpp"
#include "support/patience.hpp"
#include "support/posted_store.hpp"
#include "support/recording_executor.hpp"

#include <idempo/layers/idempotency.hpp>
#include <idempo/stores/offload.hpp>

#include <boost/asio/append.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace {

using namespace idempo::tests;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using fault_memory = fault_store<true>;

/// Sends one request and gives its answer to the function; the slot is that of the caller's cancellation.
using send_function =
    std::function<void(text_request, asio::cancellation_slot, std::function<void(http::message_generator)>)>;

/// A world of one thread that is run turn by turn, with a charging handler behind the middleware.
class stepped_world {
public:
    enum class form { callback, awaitable };
    enum class store { direct, posted };

    stepped_world(form handler, store kind, idempo::options options = {}) {
        if (handler == form::callback) {
            wrap(kind, options, idempo::async_handler([this](text_request, auto& execution, auto&& token) {
                     return charge_by_callback(execution, std::forward<decltype(token)>(token));
                 }));
        } else {
            wrap(kind, options,
                 [this](text_request, idempo::execution& execution) { return charge_by_coroutine(execution); });
        }
    }

    void start(asio::cancellation_slot slot = {}) {
        send(keyed_request(), slot, [this](http::message_generator message) { answer = read(std::move(message)); });
    }

    /// Runs so many turns, at most; says whether there was as much to run.
    bool run(std::size_t turns) {
        for (; turns > 0; --turns) {
            if (context->run_one_for(patience) == 0) return false;
        }
        return true;
    }
    void run_to_end() {
        context->restart();
        context->run_for(patience);
    }

    [[nodiscard]] std::optional<idempo::record_info> record() {
        idempo::error_code error;
        return records.peek(idempo::make_store_key("", "", "key-1"), error);
    }

    /// A retry after whatever happened: it gets the charge that was made, and there was one.
    void check_charged_once() {
        REQUIRE(record());
        CHECK(record()->state == idempo::record_state::completed);
        answer.reset();
        start();
        run_to_end();
        REQUIRE(answer);
        CHECK(answer->body() == "charge 1");
        CHECK(is_replay(*answer));
        CHECK(ledger.size() == 1);
        CHECK(plan.calls(store_call::abandon) == 0);
    }

    effect_ledger ledger;
    manual_clock clock;
    fault_plan plan{clock};
    idempo::memory_store records{[this] {
        idempo::memory_store_options options;
        options.clock = clock;
        return options;
    }()};
    std::unique_ptr<asio::io_context> context = std::make_unique<asio::io_context>(1);
    std::optional<text_response> answer;
    /// While the handler runs: whether a cancellation of the caller could reach it.
    bool is_exposed = false;
    send_function send;

private:
    template <class Handler>
    void wrap(store kind, idempo::options const& options, Handler handler) {
        fault_memory const inner(records, plan);
        if (kind == store::direct) return wrap_on(idempo::idempotency(inner, options) | std::move(handler));
        posted_store const posted(inner, context->get_executor());
        wrap_on(idempo::idempotency(posted, options) | std::move(handler));
    }

    template <class Middleware>
    void wrap_on(Middleware middleware) {
        send = [this, middleware](text_request request, asio::cancellation_slot slot, auto done) {
            middleware(std::move(request),
                       asio::bind_cancellation_slot(slot, asio::bind_executor(*context, std::move(done))));
        };
    }

    template <class Token>
    auto charge_by_callback(idempo::execution& execution, Token&& token) {
        return asio::async_initiate<Token, void(http::message_generator)>(
            [this, &execution](auto handler) {
                is_exposed = asio::get_associated_cancellation_slot(handler).is_connected();
                asio::post(*context, [this, &execution, handler = std::move(handler)]() mutable {
                    http::message_generator made(charge(ledger, execution));
                    asio::post(*context, asio::append(std::move(handler), std::move(made)));
                });
            },
            token);
    }

    asio::awaitable<text_response> charge_by_coroutine(idempo::execution& execution) {
        auto const state = co_await asio::this_coro::cancellation_state;
        is_exposed = state.slot().is_connected();
        asio::steady_timer timer(*context, 0ms);
        co_await timer.async_wait(asio::use_awaitable);
        auto response = charge(ledger, execution);
        co_await asio::post(asio::use_awaitable);
        co_return response;
    }
};

constexpr auto every_kind_of_cancellation() {
    return std::array{asio::cancellation_type::terminal, asio::cancellation_type::partial,
                      asio::cancellation_type::total, asio::cancellation_type::all};
}

auto generate_form() { return GENERATE(stepped_world::form::callback, stepped_world::form::awaitable); }
auto generate_store() { return GENERATE(stepped_world::store::direct, stepped_world::store::posted); }

}  // namespace

TEST_CASE("cancellation: by a signal, at every suspension point: the record is completed and a retry replays",
          "[cancellation]") {
    auto const handler = generate_form();
    auto const store = generate_store();
    for (auto const type : every_kind_of_cancellation()) {
        bool was_running = true;
        for (std::size_t turns = 0; was_running; ++turns) {
            INFO("cancelled after " << turns << " turns");
            REQUIRE(turns < 50);
            stepped_world world(handler, store);
            asio::cancellation_signal signal;
            world.start(signal.slot());
            was_running = world.run(turns) && !world.answer;
            signal.emit(type);
            world.run_to_end();
            REQUIRE(world.answer);
            CHECK(world.answer->body() == "charge 1");
            CHECK_FALSE(world.is_exposed);
            world.check_charged_once();
        }
    }
}

namespace {

/// A session as coroutine servers write it.
asio::awaitable<void> session(stepped_world& world, bool& went_on) {
    auto initiate = [&world](auto handler) {
        auto const slot = asio::get_associated_cancellation_slot(handler);
        auto shared = std::make_shared<decltype(handler)>(std::move(handler));
        world.send(keyed_request(), slot,
                   [shared](http::message_generator message) { std::move (*shared)(std::move(message)); });
    };
    world.answer = read(co_await asio::async_initiate<asio::use_awaitable_t<> const, void(http::message_generator)>(
        initiate, asio::use_awaitable));
    co_await asio::post(asio::use_awaitable);
    went_on = true;
}

asio::awaitable<void> turns_of(std::size_t count) {
    for (; count > 0; --count) co_await asio::post(asio::use_awaitable);
}

asio::awaitable<void> session_with_deadline(stepped_world& world, std::size_t turns, bool& went_on) {
    using namespace asio::experimental::awaitable_operators;
    co_await (session(world, went_on) || turns_of(turns));
}

}  // namespace

TEST_CASE("cancellation: of the coroutine, at every suspension point: the record is completed and a retry replays",
          "[cancellation]") {
    auto const handler = generate_form();
    auto const store = generate_store();
    bool went_on = false;
    // From the first turn, which begins the coroutine. Asio ends one that is cancelled before, newer releases of it by
    // an exception out of run().
    for (std::size_t turns = 1; !went_on; ++turns) {
        INFO("cancelled after " << turns << " turns");
        REQUIRE(turns < 50);
        stepped_world world(handler, store);
        asio::cancellation_signal signal;
        asio::co_spawn(*world.context, session(world, went_on),
                       asio::bind_cancellation_slot(signal.slot(), asio::detached));
        world.run(turns);
        signal.emit(asio::cancellation_type::terminal);
        world.run_to_end();
        if (!world.record()) continue;  // cancelled before the coroutine began
        world.check_charged_once();
    }
}

TEST_CASE("cancellation: by a deadline of awaitable operators, at every suspension point", "[cancellation]") {
    auto const handler = generate_form();
    auto const store = generate_store();
    bool went_on = false;
    for (std::size_t turns = 0; !went_on; ++turns) {
        INFO("deadline after " << turns << " turns");
        REQUIRE(turns < 50);
        stepped_world world(handler, store);
        asio::co_spawn(*world.context, session_with_deadline(world, turns, went_on), asio::detached);
        world.run_to_end();
        if (!world.record()) continue;
        world.check_charged_once();
    }
}

TEST_CASE("cancellation: of a waiting request, at every suspension point, answers 409", "[cancellation]") {
    auto const handler = generate_form();
    auto const store = generate_store();
    idempo::options options;
    options.wait = std::chrono::hours{1};
    for (std::size_t turns = 0; turns < 7; ++turns) {
        INFO("cancelled after " << turns << " turns");
        stepped_world world(handler, store, options);
        idempo::claim_request first;  // of somebody who is not done yet
        idempo::options const defaults;
        first.key = idempo::make_store_key("", "", "key-1");
        first.fingerprint =
            idempo::fingerprint_rule(defaults.same_request, defaults.scope.credential_fields())(keyed_request());
        first.fencing_token = idempo::make_fencing_token();
        first.lease = first.retention = std::chrono::hours{1};
        idempo::error_code error;
        REQUIRE(std::holds_alternative<idempo::granted>(world.records.claim(first, error)));

        asio::cancellation_signal signal;
        world.start(signal.slot());
        world.run(turns);
        CHECK_FALSE(world.answer);
        signal.emit(asio::cancellation_type::partial);
        world.context->run_for(5s);  // by far less than the wait
        REQUIRE(world.answer);
        CHECK(world.answer->result_int() == 409);
        CHECK(world.ledger.size() == 0);
        CHECK(world.record()->state == idempo::record_state::in_flight);
    }
}

TEST_CASE("cancellation: while storing is tried again does not end the tries", "[cancellation]") {
    auto const handler = generate_form();
    auto const store = generate_store();
    stepped_world world(handler, store);
    world.plan.use(next(store_call::complete, fault::fails_before, 3));
    asio::cancellation_signal signal;
    world.start(signal.slot());
    while (!world.answer) {
        REQUIRE(world.run(1));
        signal.emit(asio::cancellation_type::terminal);
    }
    CHECK(world.plan.calls(store_call::complete) == 4);
    world.check_charged_once();
}

TEST_CASE("cancellation: a context destroyed at every suspension point abandons nothing", "[cancellation]") {
    auto const handler = generate_form();
    auto const store = generate_store();
    bool was_running = true;
    bool was_left_in_flight = false;
    auto const is_stopped_first = GENERATE(true, false);
    for (std::size_t turns = 0; was_running; ++turns) {
        INFO("destroyed after " << turns << " turns");
        REQUIRE(turns < 50);
        stepped_world world(handler, store);
        world.start();
        was_running = world.run(turns) && !world.answer;
        if (is_stopped_first) world.context->stop();
        world.context.reset();
        world.send = nullptr;
        CHECK(world.plan.calls(store_call::abandon) == 0);
        auto const record = world.record();
        auto const effects = world.ledger.size();
        if (!record) CHECK(effects == 0);
        if (!record || record->state == idempo::record_state::completed) continue;

        was_left_in_flight = true;
        auto const retry = idempo::idempotency(fault_store<>(world.records, world.plan)) |
                           [](text_request const&) { return answer_with(200); };
        CHECK(retry(keyed_request()).result_int() == 409);
        world.clock.advance(30s);
        CHECK(retry(keyed_request()).result_int() == 200);
    }
    CHECK(was_left_in_flight);
}

TEST_CASE("cancellation: an operation that was cut off no longer counts as in flight", "[cancellation]") {
    auto context = std::make_unique<asio::io_context>();
    auto const wrapped =
        idempo::idempotency(idempo::memory_store()) | [](text_request) -> asio::awaitable<text_response> {
        asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::hours{1});
        co_await timer.async_wait(asio::use_awaitable);
        co_return answer_with(200);
    };
    wrapped(keyed_request(), asio::bind_executor(*context, [](http::message_generator) {}));
    context->run_for(1ms);
    CHECK_FALSE(wrapped.drain(0ms));
    context.reset();
    CHECK(wrapped.drain(0ms));
}

TEST_CASE("middleware: destroyed while operations run, they end as if it were there", "[cancellation]") {
    auto const handler = generate_form();
    auto const store = generate_store();
    for (std::size_t turns = 0; turns < 12; ++turns) {
        stepped_world world(handler, store);
        world.start();
        world.run(turns);
        auto const kept = std::move(world.send);
        world.send = nullptr;
        world.run_to_end();
        REQUIRE(world.answer);
        CHECK(world.answer->body() == "charge 1");
    }
    stepped_world world(handler, store);
    world.start();
    world.send = nullptr;  // the last handle
    world.run_to_end();
    REQUIRE(world.answer);
    CHECK(world.record()->state == idempo::record_state::completed);
}

TEST_CASE("middleware: handler and completion run on the token's executor, never in the call", "[executor]") {
    asio::thread_pool threads(2);
    asio::thread_pool elsewhere(1);
    auto const home = recording_executor::around(threads.get_executor());
    std::atomic<bool> handler_at_home{false};
    auto const check = [&](auto const& wrapped) {
        for (bool const again : {false, true}) {
            std::promise<bool> at_home;
            auto const done = [&](http::message_generator message) {
                at_home.set_value(home.is_running() && is_replay(read(std::move(message))) == again);
            };
            wrapped(keyed_request(), asio::bind_executor(home, done));
            CHECK(at_home.get_future().get());
        }
    };
    auto const coroutine = [&](text_request) -> asio::awaitable<text_response> {
        handler_at_home = home.is_running();
        co_await asio::post(asio::use_awaitable);
        co_return answer_with(200);
    };
    auto const straying = idempo::async_handler([&](text_request, auto&& token) {
        return asio::async_initiate<decltype(token), void(http::message_generator)>(
            [&](auto handler) {
                handler_at_home = true;
                asio::post(elsewhere, [handler = std::move(handler)]() mutable {
                    std::move(handler)(http::message_generator(answer_with(200)));  // ignores the token's executor
                });
            },
            token);
    });
    SECTION("a coroutine") { check(idempo::idempotency(idempo::memory_store()) | coroutine); }
    SECTION("a coroutine over a store with threads of its own") {
        check(idempo::idempotency(idempo::offload(idempo::memory_store(), elsewhere.get_executor())) | coroutine);
    }
    SECTION("a handler that completes elsewhere") { check(idempo::idempotency(idempo::memory_store()) | straying); }
    CHECK(handler_at_home);
    elsewhere.join();
    threads.join();
}

TEST_CASE("middleware: a completion is never called from within the call where there is an executor", "[executor]") {
    asio::io_context context;
    auto const wrapped =
        idempo::idempotency(idempo::memory_store()) | [](text_request const&) { return answer_with(200); };
    int completions = 0;
    bool in_call = false;
    auto const done = [&](http::message_generator) {
        CHECK_FALSE(in_call);
        ++completions;
    };
    asio::post(context, [&] {
        in_call = true;
        wrapped(keyed_request(), asio::bind_executor(context, done));
        wrapped(keyed_request(), asio::bind_executor(context, done));
        wrapped(unkeyed_request(), asio::bind_executor(context, done));
        wrapped(keyed_request(""), asio::bind_executor(context, done));
        in_call = false;
    });
    context.run();
    CHECK(completions == 4);
}

TEST_CASE("middleware: without an executor of the token's, the store's is used", "[executor]") {
    asio::io_context context;
    auto const home = recording_executor::around(context.get_executor());
    posted_store const store(idempo::memory_store(), home);
    auto const wrapped = idempo::idempotency(store) | [&](text_request const&) {
        CHECK(home.is_running());
        return answer_with(200);
    };
    bool complete = false;
    wrapped(keyed_request(), [&](http::message_generator) {
        complete = true;
        CHECK(home.is_running());
    });
    CHECK_FALSE(complete);
    context.run();
    CHECK(complete);
    CHECK(home.runs() > 3);
}
