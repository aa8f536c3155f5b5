// SPDX-License-Identifier: MIT

// Waiting for requests in flight, for shutdown.

#include "support/catch.hpp"
#include "support/charges.hpp"
#include "support/patience.hpp"

#include <idempo/layers/idempotency.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <chrono>
#include <future>
#include <optional>
#include <thread>

namespace {

using namespace idempo::tests;
using namespace std::chrono_literals;
namespace asio = boost::asio;

auto gated(gate const& at) {
    return idempo::idempotency(idempo::memory_store()) | [at](text_request const&) {
        at.pass();
        return answer_with(200);
    };
}

struct drained {
    std::optional<idempo::error_code> error;
    bool complete = false;
};

}  // namespace

TEST_CASE("middleware: drain waits for a keyed request in flight", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    gate at;
    service tested(how, {}, [&](text_request const&, idempo::execution&) {
        at.pass();
        return answer_with(200);
    });
    CHECK(tested.drain(0ms));
    auto pending = tested.start(keyed_request());
    at.wait_for_arrivals();
    CHECK_FALSE(tested.drain(0ms));
    CHECK_FALSE(tested.drain(10ms));

    auto draining = std::async(std::launch::async, [&] { return tested.drain(std::chrono::milliseconds::max()); });
    at.open();
    CHECK(draining.get());
    answer_of(std::move(pending));
    CHECK(tested.drain(0ms));
}

TEST_CASE("middleware: drain does not count what ended otherwise", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    service tested(how, {}, [](text_request const&, idempo::execution&) -> text_response { throw std::bad_alloc(); });
    tested.send(keyed_request(""));
    tested.send(keyed_request());
    tested.send(unkeyed_request());
    CHECK(tested.drain(0ms));
}

TEST_CASE("middleware: async_drain completes once nothing is in flight, never inline", "[middleware]") {
    gate at;
    auto const tested = gated(at);
    asio::io_context context;
    drained result;
    auto const done = [&](idempo::error_code error, bool complete) { result = {error, complete}; };

    SECTION("nothing is") {
        tested.async_drain(context.get_executor(), patience, done);
        CHECK_FALSE(result.error);
        context.run();
        CHECK(result.complete);
    }
    SECTION("something is") {
        std::thread running([&] { tested(keyed_request()); });
        at.wait_for_arrivals();
        tested.async_drain(context.get_executor(), std::chrono::milliseconds::max(), done);
        context.run_for(20ms);
        CHECK_FALSE(result.error);
        at.open();
        context.run();
        CHECK(result.complete);
        running.join();
    }
    REQUIRE(result.error);
    CHECK_FALSE(*result.error);
}

TEST_CASE("middleware: async_drain says so when its time is over", "[middleware]") {
    gate at;
    auto const tested = gated(at);
    std::thread running([&] { tested(keyed_request()); });
    at.wait_for_arrivals();
    asio::io_context context;
    drained result{{}, true};
    tested.async_drain(context.get_executor(), GENERATE(0ms, 10ms), [&](idempo::error_code error, bool complete) {
        result = {error, complete};
    });
    context.run();
    REQUIRE(result.error);
    CHECK_FALSE(*result.error);
    CHECK_FALSE(result.complete);
    at.open();
    running.join();
}

TEST_CASE("middleware: async_drain is ended by cancellation of any kind", "[middleware]") {
    gate at;
    auto const tested = gated(at);
    std::thread running([&] { tested(keyed_request()); });
    at.wait_for_arrivals();
    asio::io_context context;
    asio::cancellation_signal signal;
    drained result{{}, true};
    auto const done = [&](idempo::error_code error, bool complete) { result = {error, complete}; };
    tested.async_drain(context.get_executor(), patience, asio::bind_cancellation_slot(signal.slot(), done));
    context.run_for(10ms);
    signal.emit(
        GENERATE(asio::cancellation_type::terminal, asio::cancellation_type::partial, asio::cancellation_type::total));
    context.run_for(patience);
    REQUIRE(result.error);
    CHECK(*result.error == asio::error::operation_aborted);
    CHECK_FALSE(result.complete);
    at.open();
    running.join();
}

TEST_CASE("middleware: async_drain is awaitable by future and keeps the middleware's state alive", "[middleware]") {
    asio::io_context context;
    std::future<bool> drained;
    {
        auto const tested = gated(gate());
        drained = tested.async_drain(context.get_executor(), patience, asio::use_future);
    }
    context.run();
    CHECK(drained.get());
}
