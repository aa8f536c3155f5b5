#include "support/catch.hpp"
#include "support/inspectable_redis.hpp"
#include "support/redis_cluster.hpp"
#include "support/redis_cluster_scene.hpp"

#include <idempo/testing/store_contract.hpp>

#include <chrono>
#include <cstddef>
#include <string>
#include <thread>

using namespace std::chrono_literals;
using namespace idempo::tests;

namespace {

idempo::redis_options patient(redis_cluster const& cluster) {
    auto options = cluster_options(cluster);
    options.operation_timeout = 10s;  // a slow machine is no violation of the contract
    return options;
}

/// The contract, with the records in one cluster, and a second one of a single node, that gets full.
class cluster_fixture {
public:
    cluster_fixture(redis_cluster const& cluster, redis_cluster& small_cluster)
        : small_cluster_(small_cluster),
          store_(patient(cluster)) {}

    inspectable_redis store() { return store_; }

    inspectable_redis bounded_store(std::size_t records) {
        constexpr std::size_t room_for_one = 10'000;  // as with one server
        auto& server = small_cluster_[0];
        server.ask({"FLUSHALL"});
        server.ask({"CONFIG", "SET", "maxmemory", "0"});
        inspectable_redis small(patient(small_cluster_));
        idempo::error_code ignored;
        small.peek({}, ignored);  // the connection's buffers count, too
        auto const used = std::stoul(info_field(server.ask({"INFO", "memory"}), "used_memory"));
        server.ask({"CONFIG", "SET", "maxmemory", std::to_string(used + records * room_for_one)});
        return small;
    }

    static void advance(std::chrono::milliseconds span) { std::this_thread::sleep_for(span); }
    static std::chrono::milliseconds time_unit() { return 100ms; }

private:
    redis_cluster& small_cluster_;
    inspectable_redis store_;
};

}  // namespace

TEST_CASE("redis_store keeps the contract over a cluster of three primaries and three replicas") {
    // Once for all sections: a cluster needs seconds to begin.
    static redis_cluster cluster;
    static redis_cluster small_cluster({.primaries = 1, .replicas_each = 0});
    cluster_fixture fixture(cluster, small_cluster);
    idempo::testing::store_contract(fixture);
}
