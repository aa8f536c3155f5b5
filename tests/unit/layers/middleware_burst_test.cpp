// SPDX-License-Identifier: MIT

// A thousand identical requests at once, a hundred times over, in each style: exactly one execution each.

#include "support/catch.hpp"
#include "support/charges.hpp"
#include "support/patience.hpp"

#include <idempo/layers/idempotency.hpp>
#include <idempo/stores/offload.hpp>

#include <boost/asio/append.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace idempo::tests;
namespace asio = boost::asio;

constexpr int burst_size = 1000;
constexpr int bursts = 100;
constexpr int thread_count = 4;

/// How the requests of one or more bursts ended.
struct tally {
    void count(text_response const& answer) {
        if (answer.result_int() == 409) {
            ++conflicts;
        } else if (is_replay(answer)) {
            ++replays;
        } else if (answer.result_int() == 201) {
            ++firsts;
        }
    }

    std::atomic<int> firsts{0};
    std::atomic<int> conflicts{0};
    std::atomic<int> replays{0};
    std::atomic<int> executions{0};
    /// The conflicts of the bursts before this one.
    std::atomic<int> earlier_conflicts{0};
};

/// Rests until somebody has found it in flight. That may have happened before the handler begins: the other threads can
/// answer a whole burst between its claim and its first line.
auto plain_handler(tally& of) {
    return [&of](text_request const&) {
        ++of.executions;
        while (of.conflicts == of.earlier_conflicts) std::this_thread::yield();
        return answer_with(201);
    };
}

auto callback_handler(tally& of) {
    return idempo::async_handler([&of](text_request, auto&& token) {
        return asio::async_initiate<decltype(token), void(http::message_generator)>(
            [&of](auto handler) {
                ++of.executions;
                auto const executor = asio::get_associated_executor(handler);
                asio::post(executor, asio::append(std::move(handler), http::message_generator(answer_with(201))));
            },
            token);
    });
}

auto awaitable_handler(tally& of) {
    return [&of](text_request) -> asio::awaitable<text_response> {
        co_await asio::post(asio::use_awaitable);
        ++of.executions;
        co_await asio::post(asio::use_awaitable);
        co_return answer_with(201);
    };
}

/// Sends a request so many times at once, and waits for all answers.
template <class Send>
void send_many(Send const& send, text_request const& request, int count) {
    asio::thread_pool threads(thread_count);
    for (int number = 0; number < count; ++number) {
        asio::post(threads, [&] { send(threads, request); });
    }
    threads.join();
}

/// Runs the bursts; `send(threads, request)` sends one request from one of the threads. The last of a burst comes after
/// the others have been answered: whether one of those is a replay is up to the scheduler.
template <class Send>
void check_bursts(tally& all, Send send) {
    for (int burst = 1; burst <= bursts; ++burst) {
        all.earlier_conflicts = all.conflicts.load();
        auto const request = keyed_request("burst-" + std::to_string(burst));
        send_many(send, request, burst_size - 1);
        int const replays = all.replays;
        send_many(send, request, 1);
        CHECK(all.replays == replays + 1);
        CHECK(all.executions == burst);
        CHECK(all.firsts == burst);
        CHECK(all.replays + all.conflicts == burst * (burst_size - 1));
    }
    CHECK(all.conflicts > 0);
}

template <class Middleware>
auto sending_with_token(Middleware const& middleware, tally& result) {
    return [&](asio::thread_pool& threads, text_request request) {
        auto done = [&result](http::message_generator message) { result.count(read(std::move(message))); };
        middleware(std::move(request), asio::bind_executor(threads, std::move(done)));
    };
}

template <class Middleware>
asio::awaitable<void> await_answer(Middleware const& middleware, text_request request, tally& result) {
    result.count(read(co_await middleware(std::move(request), asio::use_awaitable)));
}

template <class Middleware>
auto sending_by_coroutine(Middleware const& middleware, tally& result) {
    return [&](asio::thread_pool& threads, text_request request) {
        asio::co_spawn(threads, await_answer(middleware, std::move(request), result), asio::detached);
    };
}

}  // namespace

TEST_CASE("burst: 100 times 1,000 requests by the one-argument call", "[burst]") {
    tally all;
    auto const charge = idempo::idempotency(idempo::memory_store()) | plain_handler(all);
    check_bursts(all, [&](asio::thread_pool&, text_request request) { all.count(charge(std::move(request))); });
}

TEST_CASE("burst: 100 times 1,000 requests with callbacks", "[burst]") {
    tally all;
    auto const charge = idempo::idempotency(idempo::memory_store()) | callback_handler(all);
    check_bursts(all, sending_with_token(charge, all));
}

TEST_CASE("burst: 100 times 1,000 requests by coroutines", "[burst]") {
    tally all;
    auto const charge = idempo::idempotency(idempo::memory_store()) | awaitable_handler(all);
    check_bursts(all, sending_by_coroutine(charge, all));
}

TEST_CASE("burst: 1,000 requests that wait for each other are all served", "[burst]") {
    tally all;
    idempo::options options;
    options.wait = patience;
    auto const charge = idempo::idempotency(idempo::memory_store(), options) | awaitable_handler(all);
    asio::thread_pool threads(thread_count);
    auto const send = sending_by_coroutine(charge, all);
    for (int number = 0; number < burst_size; ++number) {
        asio::post(threads, [&] { send(threads, keyed_request()); });
    }
    threads.join();
    CHECK(all.executions == 1);
    CHECK(all.replays == burst_size - 1);
}

TEST_CASE("burst: 1,000 requests over a store that blocks", "[burst]") {
    asio::thread_pool store_threads(2);
    auto const store = idempo::offload(idempo::memory_store(), store_threads.get_executor());
    tally all;
    {
        auto const charge = idempo::idempotency(store) | awaitable_handler(all);
        asio::thread_pool threads(thread_count);
        auto const send = sending_by_coroutine(charge, all);
        for (int number = 0; number < burst_size; ++number) {
            asio::post(threads, [&] { send(threads, keyed_request()); });
        }
        threads.join();
    }
    store_threads.join();
    CHECK(all.executions == 1);
    CHECK(all.firsts == 1);
    CHECK(all.replays + all.conflicts == burst_size - 1);
}
