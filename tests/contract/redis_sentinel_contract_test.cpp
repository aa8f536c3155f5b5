#include "support/catch.hpp"
#include "support/inspectable_redis.hpp"
#include "support/redis_sentinel.hpp"
#include "support/redis_server.hpp"

#include <idempo/redis_store.hpp>
#include <idempo/testing/store_contract.hpp>

#include <chrono>
#include <cstddef>
#include <string>
#include <thread>

using namespace std::chrono_literals;
using namespace idempo::tests;

namespace {

idempo::redis_options options_for(sentinel_scene const& scene) {
    idempo::redis_options others;
    others.operation_timeout = 10s;  // a slow machine is no violation of the contract
    return idempo::parse_redis_url(scene.url(), others);
}

/// The contract, with the records in a primary that sentinels name, and another that gets full.
class sentinel_fixture {
public:
    sentinel_fixture(sentinel_scene const& scene, sentinel_scene& small) : small_(small), store_(options_for(scene)) {}

    inspectable_redis store() { return store_; }

    inspectable_redis bounded_store(std::size_t records) {
        constexpr std::size_t room_for_one = 10'000;  // see redis_store_contract_test.cpp
        auto& server = small_.server(0);
        server.ask({"CONFIG", "SET", "maxmemory", "0"});
        server.ask({"FLUSHALL"});
        inspectable_redis small(options_for(small_));
        idempo::error_code ignored;
        small.peek({}, ignored);  // the connection's buffers count, too
        auto const used = std::stoul(info_field(server.ask({"INFO", "memory"}), "used_memory"));
        server.ask({"CONFIG", "SET", "maxmemory", std::to_string(used + records * room_for_one)});
        return small;
    }

    static void advance(std::chrono::milliseconds span) { std::this_thread::sleep_for(span); }
    static std::chrono::milliseconds time_unit() { return 100ms; }

private:
    sentinel_scene& small_;
    inspectable_redis store_;
};

}  // namespace

TEST_CASE("redis_store keeps the contract with a primary that sentinels name") {
    static sentinel_scene scene;  // for all lines of the contract: to start nine servers takes longer than most of them
    static sentinel_scene small({.replicas = 0});
    scene.server(0).ask({"FLUSHALL"});
    sentinel_fixture fixture(scene, small);
    idempo::testing::store_contract(fixture);
}
