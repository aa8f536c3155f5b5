// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/poll_until.hpp"
#include "support/redis_scene.hpp"
#include "support/redis_server.hpp"

#include <idempo/redis/store.hpp>
#include <idempo/store.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <cstddef>
#include <string>

using namespace idempo::tests;
using namespace idempo;

TEST_CASE("redis_store: writes what has gathered while the turn of the loop still goes on") {
    constexpr std::size_t connecting = 0;
    constexpr std::size_t many = 64;
    redis_server const server;
    asio::io_context context(1);
    redis_store store(context.get_executor(), local_redis(server.port()));
    std::size_t answered = 0;
    auto const claim = [&](std::size_t number) {
        store.async_claim(claim_of(numbered_key(number)), [&](error_code error, claim_result const&) {
            CHECK_FALSE(error);
            ++answered;
        });
    };
    claim(connecting);
    while (answered == 0) context.run_one();

    asio::post(context, [&] {
        for (std::size_t number = 1; number <= many; ++number) claim(number);
        // The first of them is there, although the only thread of the loop is here.
        auto const key = "idempo:" + to_hex(numbered_key(1).view());
        poll_until([&] { return server.ask({"EXISTS", key}) == "1"; });
    });
    while (answered <= many) context.run_one();
}
