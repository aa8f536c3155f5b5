// SPDX-License-Identifier: MIT
#include <idempo/stores/traced.hpp>

#include "support/catch.hpp"
#include "support/manual_clock.hpp"

#include <idempo/layers/idempotency.hpp>
#include <idempo/observer.hpp>
#include <idempo/stores/any_store.hpp>
#include <idempo/stores/blocking.hpp>
#include <idempo/stores/memory_store.hpp>
#include <idempo/stores/offload.hpp>
#include <idempo/testing/store_contract.hpp>
#include <idempo/tracer.hpp>

#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <variant>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace idempo::tests;
namespace asio = boost::asio;

using traced_memory = idempo::traced_store<idempo::memory_store>;
static_assert(idempo::nonblocking_store<traced_memory>);
static_assert(idempo::inspectable_store<traced_memory> && idempo::listing_store<traced_memory>);
static_assert(idempo::checkpointing_store<traced_memory> && idempo::parking_store<traced_memory>);
static_assert(idempo::remembering_store<traced_memory>);
static_assert(!idempo::async_store<traced_memory>);
using traced_offloaded = idempo::traced_store<idempo::offloaded_store<idempo::memory_store>>;
static_assert(idempo::async_renewable_store<traced_offloaded> && idempo::async_inspectable_store<traced_offloaded>);
static_assert(idempo::async_checkpointing_store<traced_offloaded> && idempo::async_parking_store<traced_offloaded>);
static_assert(!idempo::store<traced_offloaded>);
using traced_blocking = idempo::traced_store<idempo::blocking_store<idempo::offloaded_store<idempo::memory_store>>>;
static_assert(idempo::detail::self_renewing_store<traced_blocking>);

/// A trace in memory.
struct trace_in_memory {
    std::ostringstream text;
    idempo::tracer tracer{idempo::trace_to(text), {.buffer_bytes = 0}};

    [[nodiscard]] std::vector<std::string> lines() const {
        std::vector<std::string> found;
        std::istringstream in(text.str());
        for (std::string line; std::getline(in, line);) found.push_back(line);
        return found;
    }
    /// From the store's name on.
    [[nodiscard]] std::vector<std::string> events() const {
        auto found = lines();
        for (auto& line : found) {
            for (int column = 0; column < 4; ++column) line.erase(0, line.find(' ') + 1);
        }
        return found;
    }
};

class traced_fixture {
public:
    traced_memory store() { return store_; }
    void advance(std::chrono::milliseconds span) { clock_.advance(span); }
    static std::chrono::milliseconds time_unit() { return 1s; }

private:
    manual_clock clock_;
    idempo::tracer trace_{[](std::string_view) {}};
    traced_memory store_ = idempo::traced(idempo::memory_store({.clock = clock_}), trace_);
};

class traced_async_fixture {
public:
    auto store() { return store_; }
    void advance(std::chrono::milliseconds span) { clock_.advance(span); }
    static std::chrono::milliseconds time_unit() { return 1s; }

private:
    manual_clock clock_;
    idempo::tracer trace_{[](std::string_view) {}};
    asio::thread_pool threads_{2};
    idempo::blocking_store<traced_offloaded> store_ = idempo::blocking(
        idempo::traced(idempo::offload(idempo::memory_store({.clock = clock_}), threads_.get_executor()), trace_));
};

idempo::claim_request some_claim() {
    return {.key = {{1}}, .fingerprint = {{2}}, .fencing_token = {{3}}, .lease = 1min, .retention = 1h};
}

}  // namespace

TEST_CASE("traced: keeps the contract of the store inside") {
    SECTION("called directly") {
        traced_fixture fixture;
        idempo::testing::store_contract(fixture);
    }
    SECTION("asynchronous") {
        traced_async_fixture fixture;
        idempo::testing::store_contract(fixture);
    }
}

TEST_CASE("traced: each call is a line when it begins, and one with its answer") {
    trace_in_memory trace;
    {
        auto store = idempo::traced(idempo::memory_store(), trace.tracer, "orders");
        idempo::error_code error;
        auto const claim = some_claim();
        static_cast<void>(store.claim(claim, error));
        static_cast<void>(store.renew(claim.key, claim.fencing_token, 1min, error));
        static_cast<void>(store.complete({claim.key, claim.fingerprint, claim.fencing_token, {}, 1h}, error));
    }
    std::string const by = "orders 0100000000000000 0300000000000000 ";
    auto const found = trace.events();
    REQUIRE(found.size() == 7);
    CHECK(found[0] == "- - - 0 trace begins buffered=0");
    CHECK(found[1] == by + "0 claim begun request=00000000 lease=60000 retention=3600000");
    CHECK(found[2] == by + "1 claim granted call=2 steps=0");
    CHECK(found[3] == by + "0 renew begun lease=60000");
    CHECK(found[4] == by + "0 renew held call=4");
    CHECK(found[5].starts_with(by + "0 complete begun request=00000000 retention=3600000 record="));
    CHECK(found[6] == by + "0 complete done call=6");
}

TEST_CASE("traced: numbers have no gap and times do not go back, whoever writes") {
    trace_in_memory trace;
    auto store = idempo::traced(idempo::memory_store(), trace.tracer);
    std::vector<std::jthread> threads;
    for (unsigned char i = 0; i < 4; ++i) {
        threads.emplace_back([&store, i] {
            for (int times = 0; times < 200; ++times) {
                idempo::error_code error;
                auto claim = some_claim();
                claim.fencing_token.bytes[0] = i;
                static_cast<void>(store.claim(claim, error));
            }
        });
    }
    threads.clear();
    auto const found = trace.lines();
    REQUIRE(found.size() == 1 + 4 * 200 * 2);
    std::uint64_t number = 0;
    std::uint64_t time = 0;
    for (auto const& line : found) {
        std::istringstream in(line);
        std::string version;
        std::string process;
        std::uint64_t its_number = 0;
        std::uint64_t its_time = 0;
        in >> version >> process >> its_number >> its_time;
        CHECK(its_number == number + 1);
        CHECK(its_time >= time);
        number = its_number;
        time = its_time;
    }
}

TEST_CASE("traced: neither key nor token nor answer is in a trace as a whole") {
    trace_in_memory trace;
    auto store = idempo::traced(idempo::memory_store(), trace.tracer);
    idempo::error_code error;
    auto claim = some_claim();
    claim.fencing_token = idempo::make_fencing_token();
    static_cast<void>(store.claim(claim, error));
    idempo::shared_bytes const secret(std::string_view("a secret answer"));
    static_cast<void>(store.complete({claim.key, claim.fingerprint, claim.fencing_token, secret, 1h}, error));
    auto const text = trace.text.str();
    CHECK(text.find("secret") == std::string::npos);
    CHECK(text.find(idempo::to_hex(claim.fencing_token.view())) == std::string::npos);
    CHECK(text.find(idempo::to_hex(claim.fencing_token.view().substr(0, 8))) != std::string::npos);
    CHECK(text.find(idempo::to_hex(claim.key.view())) == std::string::npos);
}

TEST_CASE("traced: a name that makes no sense is refused") {
    trace_in_memory trace;
    for (std::string const name : {"", "-", "two words", "a/b", "123456789012345678901234567890123"}) {
        CHECK_THROWS_AS(idempo::traced(idempo::memory_store(), trace.tracer, name), std::invalid_argument);
    }
}

TEST_CASE("tracer: an observer writes what it is told, and passes it on") {
    trace_in_memory trace;
    unsigned passed_on = 0;
    auto const observer = trace.tracer.observing([&](idempo::event const&) { ++passed_on; });
    idempo::event told;
    told.type = idempo::event_type::executed;
    told.key = {{1}};
    told.fencing_token = {{3}};
    told.attempt = 2;
    told.status = 201;
    observer(told);
    told.type = idempo::event_type::step_began;
    told.step = idempo::event_step::handler;
    observer(told);
    told.step = idempo::event_step::claim;  // the store tells that
    observer(told);
    auto const found = trace.events();
    REQUIRE(found.size() == 3);
    CHECK(found[1] == "- 0100000000000000 0300000000000000 2 told executed status=201");
    CHECK(found[2] == "- 0100000000000000 0300000000000000 2 handler begun");
    CHECK(passed_on == 3);
}

TEST_CASE("tracer: nobody waits for a sink that is slow, and what does not fit is counted and leaves a gap") {
    std::mutex mutex;
    std::condition_variable changed;
    bool is_open = false;
    std::string text;
    {
        idempo::tracer const trace(
            [&](std::string_view lines) {
                std::unique_lock lock(mutex);
                changed.wait(lock, [&] { return is_open; });
                text += lines;
            },
            {.buffer_bytes = 4096});
        auto store = idempo::traced(idempo::memory_store(), trace);
        idempo::error_code error;
        for (int i = 0; i < 1000; ++i) static_cast<void>(store.claim(some_claim(), error));
        CHECK(trace.dropped() > 0);
        {
            std::lock_guard const lock(mutex);
            is_open = true;
        }
        changed.notify_all();
        trace.flush();
        static_cast<void>(store.claim(some_claim(), error));
    }
    CHECK(text.size() <= 2 * 4096 + 1024);
    CHECK(text.find(" 2002 ") != std::string::npos);
    CHECK(text.find(" 1900 ") == std::string::npos);
    CHECK(text.find("trace ends") != std::string::npos);
}

TEST_CASE("tracer: a sink that throws changes nothing for the store") {
    idempo::tracer const trace([](std::string_view) { throw std::runtime_error("full"); }, {.buffer_bytes = 0});
    auto store = idempo::traced(idempo::memory_store(), trace);
    idempo::error_code error;
    CHECK(std::holds_alternative<idempo::granted>(store.claim(some_claim(), error)));
    CHECK(trace.dropped() == 3);
    CHECK_THROWS_AS(idempo::tracer(idempo::trace_sink()), std::invalid_argument);
}
