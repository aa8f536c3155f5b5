// SPDX-License-Identifier: MIT

// What a call of a networked store keeps: its handler's executor.

#include "support/catch.hpp"

#include <idempo/detail/pending_handler.hpp>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include <memory>
#include <utility>

namespace {

namespace asio = boost::asio;
using pending_handler = idempo::detail::pending_handler<void(int)>;

}  // namespace

TEST_CASE("pending_handler: a context may be destroyed as soon as its only handler has been called") {
    // ThreadSanitizer sees here whether the thread that posts still uses the context then.
    asio::thread_pool store(1);
    int sum = 0;
    for (int round = 0; round < 1'000; ++round) {
        asio::io_context context;
        auto pending = std::make_shared<pending_handler>(
            asio::bind_executor(context, [&sum](int number) { sum += number; }), store.get_executor());
        asio::post(store, [pending, executor = store.get_executor()] { pending->post(executor, 1); });
        pending.reset();
        context.run();
    }
    CHECK(sum == 1'000);
}
