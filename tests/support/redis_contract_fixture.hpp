// SPDX-License-Identifier: MIT
#pragma once

#include "support/inspectable_redis.hpp"
#include "support/patience.hpp"
#include "support/redis_server.hpp"

#include <idempo/redis/options.hpp>

#include <chrono>
#include <cstddef>
#include <string>
#include <thread>
#include <utility>

namespace idempo::tests {

/// The contract on the servers that the options name, and a second server that gets full.
class redis_contract_fixture {
public:
    /// \param full_options lead to `full_server`
    redis_contract_fixture(redis_options const& options, redis_server& full_server, redis_options full_options)
        : full_server_(full_server),
          full_options_(with_patience(std::move(full_options))),
          store_(with_patience(options)) {}

    inspectable_redis store() { return store_; }

    inspectable_redis bounded_store(std::size_t records) {
        // A record and its share of the tables take some 400 bytes. The server's own memory varies by tens of
        // thousands, so the room is for several times as many.
        constexpr std::size_t room_for_one = 10'000;
        full_server_.ask({"FLUSHALL"});
        full_server_.ask({"CONFIG", "SET", "maxmemory", "0"});
        inspectable_redis small(full_options_);
        idempo::error_code ignored;
        small.peek({}, ignored);  // the connection's buffers count, too
        auto const used = std::stoul(info_field(full_server_.ask({"INFO", "memory"}), "used_memory"));
        full_server_.ask({"CONFIG", "SET", "maxmemory", std::to_string(used + records * room_for_one)});
        return small;
    }

    static void advance(std::chrono::milliseconds span) { std::this_thread::sleep_for(span); }
    static std::chrono::milliseconds time_unit() { return std::chrono::milliseconds(100); }

private:
    redis_server& full_server_;
    redis_options full_options_;
    inspectable_redis store_;
};

}  // namespace idempo::tests
