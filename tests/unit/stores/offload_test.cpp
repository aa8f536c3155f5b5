// SPDX-License-Identifier: MIT
#include <idempo/stores/offload.hpp>

#include "support/catch.hpp"
#include "support/fault_store.hpp"
#include "support/gate.hpp"
#include "support/manual_clock.hpp"
#include "support/recording_executor.hpp"

#include <idempo/stores/blocking.hpp>
#include <idempo/stores/memory_store.hpp>
#include <idempo/testing/store_contract.hpp>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include <algorithm>
#include <chrono>
#include <future>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace idempo::tests;
namespace asio = boost::asio;

/// Records the order in which it was called; a claim waits at the gate.
class ordered_store {
public:
    idempo::claim_result claim(idempo::claim_request const& request, idempo::error_code& error) {
        error.clear();
        shared_->at.pass();
        note(request.key, -1);
        return idempo::granted{};
    }
    idempo::complete_result complete(idempo::complete_request const& request, idempo::error_code& error) {
        error.clear();
        note(request.key, static_cast<int>(request.retention.count()));
        return idempo::done{};
    }
    void abandon(idempo::store_key const&, idempo::fencing_token const&, idempo::error_code& error) { error.clear(); }

    [[nodiscard]] gate const& at() const { return shared_->at; }
    [[nodiscard]] std::vector<int> calls_of(idempo::store_key const& key) const {
        std::lock_guard const lock(shared_->mutex);
        std::vector<int> calls;
        for (auto const& [called, number] : shared_->calls) {
            if (called == key) calls.push_back(number);
        }
        return calls;
    }

private:
    void note(idempo::store_key const& key, int number) {
        std::lock_guard const lock(shared_->mutex);
        shared_->calls.emplace_back(key, number);
    }
    struct shared {
        std::mutex mutex;
        gate at;
        std::vector<std::pair<idempo::store_key, int>> calls;
    };
    std::shared_ptr<shared> shared_ = std::make_shared<shared>();
};

static_assert(idempo::async_store<idempo::offloaded_store<ordered_store>>);
static_assert(!idempo::async_renewable_store<idempo::offloaded_store<ordered_store>>);
static_assert(idempo::async_renewable_store<idempo::offloaded_store<idempo::memory_store>>);

idempo::claim_request claim_of(unsigned char key) {
    idempo::claim_request request;
    request.key.bytes[0] = key;
    request.fencing_token = idempo::make_fencing_token();
    request.lease = request.retention = 1h;
    return request;
}

idempo::complete_request complete_of(unsigned char key, int number = 0) {
    idempo::complete_request request;
    request.key.bytes[0] = key;
    request.retention = std::chrono::milliseconds(number);
    return request;
}

class offloaded_fixture {
public:
    auto store() { return store_; }
    auto bounded_store(std::size_t records) {
        return idempo::blocking(
            idempo::offload(idempo::memory_store({.max_records = records, .clock = clock_}), threads_.get_executor()));
    }
    void advance(std::chrono::milliseconds span) { clock_.advance(span); }
    static std::chrono::milliseconds time_unit() { return 1s; }

private:
    manual_clock clock_;
    asio::thread_pool threads_{4};
    idempo::blocking_store<idempo::offloaded_store<idempo::memory_store>> store_ =
        idempo::blocking(idempo::offload(idempo::memory_store({.clock = clock_}), threads_.get_executor()));
};

}  // namespace

TEST_CASE("offload: keeps the contract", "[offload]") {
    offloaded_fixture fixture;
    idempo::testing::store_contract(fixture);
}

TEST_CASE("offload: operations of one key run in the order of submission", "[offload]") {
    asio::thread_pool threads(4);
    ordered_store inner;
    auto store = idempo::offload(inner, threads.get_executor());
    inner.at().open();
    std::vector<std::future<idempo::complete_result>> pending;
    for (int number = 0; number < 200; ++number) {
        for (unsigned char key = 0; key < 5; ++key) {
            pending.push_back(store.async_complete(complete_of(key, number), asio::use_future));
        }
    }
    for (auto& each : pending) each.get();
    for (unsigned char key = 0; key < 5; ++key) {
        auto const calls = inner.calls_of(complete_of(key).key);
        CHECK(calls.size() == 200);
        CHECK(std::is_sorted(calls.begin(), calls.end()));
    }
}

TEST_CASE("offload: one key that hangs does not hold up the others", "[offload]") {
    asio::thread_pool threads(2);
    ordered_store inner;
    auto store = idempo::offload(inner, threads.get_executor());
    auto hanging = store.async_claim(claim_of(1), asio::use_future);
    auto behind = store.async_complete(complete_of(1), asio::use_future);
    inner.at().wait_for_arrivals();
    store.async_complete(complete_of(2), asio::use_future).get();
    CHECK(behind.wait_for(0s) == std::future_status::timeout);
    inner.at().open();
    hanging.get();
    behind.get();
    CHECK(inner.calls_of(claim_of(1).key) == std::vector{-1, 0});
}

TEST_CASE("offload: a store that hangs is given up at the deadline, also where it stands in line", "[offload]") {
    asio::thread_pool threads(1);
    ordered_store inner;
    idempo::offload_options options;
    options.timeout = 20ms;
    auto store = idempo::offload(inner, threads.get_executor(), options);
    auto first = store.async_claim(claim_of(1), asio::use_future);
    auto behind = store.async_complete(complete_of(1), asio::use_future);
    auto elsewhere = store.async_abandon(claim_of(2).key, {}, asio::use_future);
    auto const is_timed_out = [](boost::system::system_error const& failed) {
        return failed.code() == idempo::error::store_timed_out;
    };
    auto const fails = [&](auto& pending) {
        try {
            pending.get();
        } catch (boost::system::system_error const& failed) {
            return is_timed_out(failed);
        }
        return false;
    };
    CHECK(fails(first));
    CHECK(fails(behind));
    CHECK(fails(elsewhere));
    CHECK(inner.calls_of(claim_of(1).key).empty());

    inner.at().open();  // what was given up is still executed
    threads.join();
    CHECK(inner.calls_of(claim_of(1).key) == std::vector{-1, 0});
}

TEST_CASE("offload: more than max_pending are refused, and there is room again later", "[offload]") {
    asio::thread_pool threads(1);
    ordered_store inner;
    idempo::offload_options options;
    options.max_pending = 2;
    auto store = idempo::offload(inner, threads.get_executor(), options);
    auto first = store.async_claim(claim_of(1), asio::use_future);
    auto second = store.async_complete(complete_of(2), asio::use_future);
    auto third = store.async_complete(complete_of(3), asio::use_future);
    try {
        third.get();
        FAIL("it was not refused");
    } catch (boost::system::system_error const& refused) {
        CHECK(refused.code() == idempo::error::store_unavailable);
    }
    inner.at().open();
    first.get();
    second.get();
    threads.join();
    asio::thread_pool more(1);
    // As soon as the call is over there is room; its completion may come a moment before.
    bool has_room = false;
    auto other = idempo::offload(inner, more.get_executor(), options);
    for (int round = 0; round < 10; ++round) {
        other.async_complete(complete_of(4), asio::use_future).get();
        has_room = true;
    }
    CHECK(has_room);
}

TEST_CASE("offload: limits must be positive and not beyond reason", "[offload]") {
    asio::thread_pool threads(1);
    idempo::offload_options options;
    SECTION("no time") { options.timeout = 0ms; }
    SECTION("negative time") { options.timeout = -1ms; }
    SECTION("no room") { options.max_pending = 0; }
    SECTION("more time than a clock can hold") { options.timeout = std::chrono::milliseconds::max(); }
    CHECK_THROWS_AS(idempo::offload(idempo::memory_store(), threads.get_executor(), options), std::invalid_argument);
}

TEST_CASE("offload: completes on the token's executor, by default on a thread of its own", "[offload]") {
    asio::thread_pool threads(1);
    asio::io_context context;
    auto store = idempo::offload(idempo::memory_store(), threads.get_executor());
    auto const home = recording_executor::around(context.get_executor());
    bool at_home = false;
    std::promise<std::thread::id> completed_in;
    store.async_claim(claim_of(1), asio::bind_executor(home, [&](idempo::error_code, idempo::claim_result) {
                          at_home = home.is_running();
                      }));
    context.run();
    CHECK(at_home);
    store.async_claim(claim_of(2), [&](idempo::error_code, idempo::claim_result) {
        completed_in.set_value(std::this_thread::get_id());
    });
    std::promise<std::thread::id> own;
    asio::post(store.get_executor(), [&] { own.set_value(std::this_thread::get_id()); });
    CHECK(completed_in.get_future().get() == own.get_future().get());
}

TEST_CASE("offload: the handler's own executor is kept at work until it is called", "[offload]") {
    asio::thread_pool threads(1);
    std::promise<void> gate;
    asio::post(threads, [&] { gate.get_future().wait(); });
    auto store = idempo::offload(idempo::memory_store(), threads.get_executor());
    asio::io_context own;
    bool is_called = false;
    store.async_claim(claim_of(1), asio::bind_executor(own, [&](auto&&...) { is_called = true; }));
    own.poll();
    CHECK_FALSE(own.stopped());
    gate.set_value();
    own.run();
    CHECK(is_called);
}

TEST_CASE("offload: the last copy may go while operations run, and from a thread of its own", "[offload]") {
    asio::thread_pool threads(2);
    for (int round = 0; round < 50; ++round) {
        auto store = std::make_shared<idempo::offloaded_store<idempo::memory_store>>(
            idempo::offload(idempo::memory_store(), threads.get_executor()));
        auto completed = std::make_shared<std::promise<void>>();
        auto future = completed->get_future();
        auto& initiating = *store;
        initiating.async_claim(claim_of(1), [store, completed](idempo::error_code, idempo::claim_result) mutable {
            store.reset();
            completed->set_value();
        });
        store.reset();
        future.get();
    }
    threads.join();
}
