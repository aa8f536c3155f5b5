// SPDX-License-Identifier: MIT

// Whoever runs a session's context may destroy it when it has no more work, wherever its handler and its store
// complete. ThreadSanitizer sees whether another thread still uses it then.

#include <idempo/layers/idempotency.hpp>
#include <idempo/stores/memory_store.hpp>
#include <idempo/stores/offload.hpp>

#include "support/catch.hpp"
#include "support/requests.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <string>
#include <utility>

namespace {

using namespace idempo::tests;
namespace asio = boost::asio;

constexpr int rounds = 300;

text_request request_of(int round) { return keyed_request("key-" + std::to_string(round)); }

}  // namespace

TEST_CASE("context_end: a handler that completes on another thread has left the context when its work ends") {
    asio::thread_pool elsewhere(1);
    auto const handle = idempo::idempotency(idempo::memory_store()) |
                        idempo::async_handler([&elsewhere](text_request const&, auto done) {
                            asio::post(elsewhere, [done = std::move(done)]() mutable {
                                std::move(done)(text_response(http::status::created, 11));
                            });
                        });
    int answers = 0;
    for (int round = 0; round < rounds; ++round) {
        asio::io_context context;
        handle(request_of(round),
               asio::bind_executor(context, [&answers](http::message_generator const&) { ++answers; }));
        context.run();
    }
    CHECK(answers == rounds);
}

TEST_CASE("context_end: a store that completes on another thread has left the context when its work ends") {
    asio::thread_pool elsewhere(2);
    auto const handle = idempo::idempotency(idempo::offload(idempo::memory_store(), elsewhere.get_executor())) |
                        [](text_request const&) -> asio::awaitable<text_response> {
        co_return text_response(http::status::created, 11);
    };
    int answers = 0;
    for (int round = 0; round < rounds; ++round) {
        asio::io_context context;
        auto session = [&]() -> asio::awaitable<void> {
            co_await handle(request_of(round), asio::use_awaitable);
            ++answers;
        };
        asio::co_spawn(context, session, asio::detached);
        context.run();
    }
    CHECK(answers == rounds);
}
