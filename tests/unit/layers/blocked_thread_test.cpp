// SPDX-License-Identifier: MIT

// A handler that blocks its thread does not lose its lease to itself.

#include <idempo/layers/idempotency.hpp>
#include <idempo/stores/any_store.hpp>
#include <idempo/stores/memory_store.hpp>
#include <idempo/stores/offload.hpp>

#include "support/catch.hpp"
#include "support/manual_clock.hpp"
#include "support/poll_until.hpp"
#include "support/requests.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <utility>

namespace {

using namespace std::chrono_literals;
using namespace idempo::tests;
namespace asio = boost::asio;

/// A store that blocks, and counts its renewals.
struct counting_store {
    idempo::memory_store records;
    std::shared_ptr<std::atomic<int>> renewals = std::make_shared<std::atomic<int>>(0);

    idempo::claim_result claim(idempo::claim_request const& request, idempo::error_code& ec) {
        return records.claim(request, ec);
    }
    idempo::complete_result complete(idempo::complete_request const& request, idempo::error_code& ec) {
        return records.complete(request, ec);
    }
    void abandon(idempo::store_key const& key, idempo::fencing_token const& by, idempo::error_code& ec) {
        records.abandon(key, by, ec);
    }
    bool renew(idempo::store_key const& key, idempo::fencing_token const& by, std::chrono::milliseconds lease,
               idempo::error_code& ec) {
        ++*renewals;
        return records.renew(key, by, lease, ec);
    }
};
static_assert(idempo::renewable_store<counting_store> && !idempo::nonblocking_store<counting_store>);

text_response created() {
    text_response response(http::status::created, 11);
    response.prepare_payload();
    return response;
}

template <class Handle>
unsigned send(Handle const& handle, asio::io_context& context) {
    std::optional<unsigned> status;
    handle(keyed_request(), asio::bind_executor(context, [&status](http::message_generator message) {
               status = read(std::move(message)).result_int();
           }));
    context.run();
    return status.value();
}

}  // namespace

TEST_CASE("blocked thread: a claim in a memory store lasts as long as its call", "[executors]") {
    manual_clock clock;
    idempo::memory_store const store({.clock = clock});
    idempo::options options;
    options.lease = 1s;
    int runs = 0;
    std::function<void()> act;
    auto const run = [&] {
        ++runs;
        if (act) std::exchange(act, nullptr)();
        return created();
    };
    auto const check = [&](auto const& handle) {
        unsigned meanwhile = 0;
        act = [&] {
            clock.advance(10s);
            asio::io_context other;
            meanwhile = send(handle, other);
        };
        asio::io_context context;
        CHECK(send(handle, context) == 201);
        CHECK(meanwhile == 409);
        CHECK(runs == 1);
    };
    auto const coroutine = [&](text_request) -> asio::awaitable<text_response> { co_return run(); };
    auto const token = [&](text_request const&, auto done) { done(http::message_generator(run())); };
    asio::io_context owner;

    SECTION("function") {
        check(idempo::idempotency(store, options) | [&](text_request const&) { return run(); });
    }
    SECTION("coroutine") { check(idempo::idempotency(store, options) | coroutine); }
    SECTION("token") { check(idempo::idempotency(store, options) | idempo::async_handler(token)); }
    SECTION("type-erased") {
        idempo::any_store const erased(store, owner.get_executor());
        check(idempo::idempotency(erased, options) | coroutine);
    }
}

TEST_CASE("blocked thread: a claim whose handler is never answered gets its lease", "[executors]") {
    manual_clock clock;
    idempo::memory_store const store({.clock = clock});
    idempo::options options;
    options.lease = 1s;
    int runs = 0;
    auto const handle =
        idempo::idempotency(store, options) | idempo::async_handler([&runs](text_request const&, auto done) {
            if (++runs > 1) done(http::message_generator(created()));
        });
    {
        asio::io_context lost;
        handle(keyed_request(),
               asio::bind_executor(lost, [](http::message_generator) { FAIL("nobody has answered"); }));
    }
    asio::io_context context;
    CHECK(send(handle, context) == 409);
    clock.advance(1001ms);
    context.restart();
    CHECK(send(handle, context) == 201);
    CHECK(runs == 2);
}

TEST_CASE("blocked thread: offload renews while a handler blocks its thread of completions", "[executors]") {
    asio::thread_pool pool(1);
    counting_store const inner;
    idempo::options options;
    options.lease = 60ms;
    int runs = 0;
    auto const block = [&](text_request const&) {
        ++runs;
        poll_until([&] { return *inner.renewals >= 3; });
        return created();
    };
    std::promise<unsigned> status;
    auto const done = [&status](http::message_generator message) {
        status.set_value(read(std::move(message)).result_int());
    };
    bool const erased = GENERATE(false, true);
    auto const offloaded = idempo::offload(inner, pool.get_executor());
    if (erased) {
        auto const handle = idempo::idempotency(idempo::any_store(offloaded), options) | block;
        handle(keyed_request(), done);
        CHECK(status.get_future().get() == 201);
    } else {
        auto const handle = idempo::idempotency(offloaded, options) | block;
        handle(keyed_request(), done);
        CHECK(status.get_future().get() == 201);
    }
    CHECK(runs == 1);
    pool.join();
}
