// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/effect_ledger.hpp"
#include "support/inspectable_redis.hpp"
#include "support/poll_until.hpp"
#include "support/redis_cluster.hpp"
#include "support/redis_cluster_scene.hpp"
#include "support/redis_events.hpp"
#include "support/test_certificate.hpp"

#include <idempo/redis/rate_limiter.hpp>
#include <idempo/redis/store.hpp>
#include <idempo/store.hpp>

#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

using namespace idempo::tests;
using namespace idempo;

// A Redis Cluster whose slots move, and whose nodes come, go and fail.
//
// TRYAGAIN is not among what a node can answer here: it is for a command with several keys of a slot that moves, some
// of which are there already, and all of ours have one key.

namespace {

redis_cluster_setup const without_replicas{.primaries = 3, .replicas_each = 0};

/// One key of each primary's slots, as they are at the beginning.
std::array<store_key, 3> const keys{key_in(0, 5460), key_in(5461, 10922), key_in(10923, 16383)};

/// Whether a claim is answered; where it was granted, it is abandoned.
bool answers(inspectable_redis& store, store_key const& key) {
    auto const claim = claim_of(key, 1s);
    error_code error;
    static_cast<void>(store.claim(claim, error));
    if (error) return false;
    store.abandon(claim.key, claim.fencing_token, error);
    return true;
}

bool answers_all(inspectable_redis& store) {
    return std::all_of(keys.begin(), keys.end(), [&](auto const& key) { return answers(store, key); });
}

/// How long until the keys of all nodes are answered.
std::chrono::milliseconds time_to_answer(inspectable_redis& store) {
    auto const start = std::chrono::steady_clock::now();
    poll_until([&] { return answers_all(store); });
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
}

error_code error_of_claim(inspectable_redis& store, store_key const& key) {
    error_code error;
    static_cast<void>(store.claim(claim_of(key, 1s), error));
    return error;
}

bool is_refusal(error_code error) { return error == error::store_unavailable || error == error::store_timed_out; }

std::size_t redirected(redis_server const& node, std::string const& kind) {
    auto const count = info_field("\r\n" + node.ask({"INFO", "errorstats"}), "errorstat_" + kind);
    return count.empty() ? 0 : std::stoul(count.substr(count.find('=') + 1));
}

/// Until what the replica of node 0 has is what it has.
void wait_for_replica(redis_cluster const& cluster, std::size_t replica) {
    poll_until([&] {
        auto const primary = info_field(cluster[0].ask({"INFO", "replication"}), "master_repl_offset");
        return primary == info_field(cluster[replica].ask({"INFO", "replication"}), "slave_repl_offset");
    });
}

/// As for a cluster of which this is the only node that is named.
redis_options seed_options(redis_server const& server, redis_events const& events) {
    redis_options options;
    options.cluster_nodes = {{.host = "127.0.0.1", .port = server.port()}};
    options.observer = events.observer();
    return options;
}

}  // namespace

TEST_CASE("redis cluster: a slot that moves is followed by ASK, and when it has moved by MOVED") {
    redis_cluster cluster(without_replicas);
    inspectable_redis store(cluster_options(cluster));
    effect_ledger ledger;
    auto const slot = slot_of(keys[0]);
    auto const other = key_in(slot, slot, 1);
    REQUIRE(other != keys[0]);
    auto const claim = claim_of(keys[0]);
    error_code error;
    REQUIRE(std::holds_alternative<granted>(store.claim(claim, error)));

    cluster.begin_move(slot, 0, 1);
    CHECK(std::holds_alternative<done>(store.complete(complete_of(claim, "first"), error)));  // it is still there
    CHECK(redirected(cluster[0], "ASK") == 0);
    cluster[1].ask({"SCRIPT", "FLUSH"});  // ASKING is for one command: EVAL needs another one than EVALSHA
    CHECK_FALSE(execute(store, other, ledger).first);
    CHECK(std::holds_alternative<completed>(execute(store, other, ledger).second));
    CHECK(redirected(cluster[0], "ASK") == 3);  // of two claims and a Complete
    CHECK(redirected(cluster[1], "NOSCRIPT") == 1);
    CHECK(cluster[1].ask({"DBSIZE"}) == "1");

    CHECK(cluster.move_keys(slot, 0, 1) == 1);
    auto const found = store.claim(claim_of(keys[0]), error);
    REQUIRE(std::holds_alternative<completed>(found));
    CHECK(std::get<completed>(found).record.view() == "first");
    CHECK(redirected(cluster[0], "MOVED") == 0);

    cluster.end_move(slot, 0, 1);
    CHECK(answers(store, keys[0]));
    CHECK(redirected(cluster[0], "MOVED") >= 1);
    // And soon the map is right: nothing is sent there any more.
    poll_until([&] {
        auto const before = redirected(cluster[0], "MOVED");
        return answers(store, keys[0]) && redirected(cluster[0], "MOVED") == before;
    });
    CHECK(ledger.size() == 1);
}

TEST_CASE("redis cluster: a slot that nobody has is refused, and the others are not") {
    auto setup = without_replicas;
    setup.flags = {"--cluster-require-full-coverage", "no"};
    redis_cluster cluster(setup);
    auto const slot = std::to_string(slot_of(keys[0]));
    inspectable_redis before(cluster_options(cluster));
    REQUIRE(answers_all(before));
    for (std::size_t node = 0; node < cluster.size(); ++node) {
        static_cast<void>(cluster[node].ask({"CLUSTER", "DELSLOTS", slot}));
    }
    poll_until([&] { return error_of_claim(before, keys[0]) == error::store_unavailable; });
    inspectable_redis after(cluster_options(cluster));
    poll_until([&] { return answers(after, keys[1]); });
    for (auto* store : {&before, &after}) {
        for (int i = 0; i < 10; ++i) CHECK(error_of_claim(*store, keys[0]) == error::store_unavailable);
        CHECK(answers(*store, keys[1]));
        CHECK(answers(*store, keys[2]));
    }
    CHECK(cluster[0].ask({"CLUSTER", "ADDSLOTS", slot}) == "OK");
    cluster.wait_until_healthy();
    for (auto* store : {&before, &after}) CHECK(time_to_answer(*store) < 2s);
}

TEST_CASE("redis cluster: a primary that is killed is succeeded, and comes back as a replica") {
    redis_cluster cluster({.node_timeout = 500ms});
    redis_events const events;
    auto options = cluster_options(cluster);
    options.observer = events.observer();
    inspectable_redis store(options);
    effect_ledger ledger;
    REQUIRE(answers_all(store));
    REQUIRE_FALSE(execute(store, keys[0], ledger).first);
    wait_for_replica(cluster, 3);
    std::vector<std::size_t> const rest{1, 2, 3, 4, 5};
    cluster[0].kill();
    poll_until([&] { return is_refusal(error_of_claim(store, keys[0])); });
    poll_until([&] { return cluster.primary_of(0, 1) == 3 && cluster.is_healthy(rest); });
    CHECK(time_to_answer(store) < 2s);
    CHECK(std::holds_alternative<completed>(execute(store, keys[0], ledger).second));
    CHECK(events.count(redis_problem::lost) >= 1);

    cluster[0].start();
    cluster.wait_until_healthy();
    poll_until([&] { return info_field(cluster[0].ask({"INFO", "replication"}), "role") == "slave"; });
    CHECK(time_to_answer(store) < 2s);
    inspectable_redis another(cluster_options(cluster));  // whose seeds are a replica and two primaries
    CHECK(time_to_answer(another) < 2s);
    CHECK(ledger.size() == 1);
}

TEST_CASE("redis cluster: a primary that stops is succeeded, and sends on what reaches it when it goes on") {
    redis_cluster cluster({.node_timeout = 500ms});
    inspectable_redis store(cluster_options(cluster));
    effect_ledger ledger;
    REQUIRE(answers_all(store));
    REQUIRE_FALSE(execute(store, keys[0], ledger).first);
    wait_for_replica(cluster, 3);
    cluster[0].send_signal(SIGSTOP);
    CHECK(is_refusal(error_of_claim(store, keys[0])));
    poll_until([&] { return cluster.primary_of(0, 1) == 3 && cluster.is_healthy({1, 2, 3, 4, 5}); });
    CHECK(time_to_answer(store) < 2s);
    cluster[0].send_signal(SIGCONT);
    cluster.wait_until_healthy();
    CHECK(time_to_answer(store) < 2s);
    CHECK(std::holds_alternative<completed>(execute(store, keys[0], ledger).second));
    CHECK(ledger.size() == 1);
}

TEST_CASE("redis cluster: while a node is forgotten requests fail closed, and when it is met again they succeed") {
    redis_cluster cluster(without_replicas);
    inspectable_redis store(cluster_options(cluster));
    REQUIRE(answers_all(store));
    cluster.forget(1);
    poll_until([&] { return !cluster.is_healthy({0}) && !cluster.is_healthy({2}); });
    for (int i = 0; i < 10; ++i) CHECK(error_of_claim(store, keys[0]) == error::store_unavailable);
    cluster.meet(1);
    cluster.wait_until_healthy();
    CHECK(time_to_answer(store) < 2s);
}

TEST_CASE("redis cluster: nodes are added and removed") {
    redis_cluster cluster(without_replicas);
    inspectable_redis store(cluster_options(cluster));
    effect_ledger ledger;
    REQUIRE_FALSE(execute(store, keys[0], ledger).first);
    auto const slot = slot_of(keys[0]);
    auto const added = cluster.add_node();
    cluster.move(slot, 0, added);
    CHECK(std::holds_alternative<completed>(execute(store, keys[0], ledger).second));
    CHECK(cluster[added].ask({"DBSIZE"}) == "1");
    cluster.move(slot, added, 2);
    poll_until([&] { return std::holds_alternative<completed>(execute(store, keys[0], ledger).second); });
    cluster.forget(added);
    cluster[added].kill();
    CHECK(time_to_answer(store) < 2s);
    for (int i = 0; i < 10; ++i) {
        CHECK(std::holds_alternative<completed>(execute(store, keys[0], ledger).second));
    }
    CHECK(ledger.size() == 1);
}

TEST_CASE("redis cluster: nodes that do not say what their host is are where they were asked") {
    auto setup = without_replicas;
    setup.flags = {"--cluster-preferred-endpoint-type", "unknown-endpoint"};
    redis_cluster cluster(setup);
    inspectable_redis store(cluster_options(cluster));
    CHECK(answers_all(store));
    cluster.move(slot_of(keys[0]), 0, 1);
    CHECK(answers_all(store));  // "MOVED 3999 :7001"
}

TEST_CASE("redis cluster: a seed that is none is told of, and used when it becomes one") {
    redis_server server({"--cluster-enabled", "yes", "--cluster-port", std::to_string(free_port())});
    redis_events const events;
    inspectable_redis store(seed_options(server, events));
    CHECK(error_of_claim(store, keys[0]) == error::store_unavailable);
    CHECK(events.count(redis_problem::no_cluster_known) >= 1);
    CHECK(server.ask({"CLUSTER", "ADDSLOTSRANGE", "0", "16383"}) == "OK");
    poll_until([&] { return server.ask({"CLUSTER", "INFO"}).find("cluster_state:ok") != std::string::npos; });
    CHECK(time_to_answer(store) < 2s);
}

TEST_CASE("redis cluster: a server without a cluster is told of") {
    redis_server server;
    redis_events const events;
    inspectable_redis store(seed_options(server, events));
    CHECK(error_of_claim(store, keys[0]) == error::store_unavailable);
    CHECK(events.count(redis_problem::no_cluster_known) >= 1);
    CHECK(events.count(redis_problem::none) == 0);
}

TEST_CASE("redis cluster: when the store is destroyed, pending operations are still answered, and nothing stays") {
    redis_cluster cluster(without_replicas);
    auto const slot = slot_of(keys[0]);
    cluster.begin_move(slot, 0, 1);
    boost::asio::io_context context;
    std::vector<error_code> told;
    {
        redis_store store(context.get_executor(), cluster_options(cluster));
        for (auto const& key : keys) {
            store.async_claim(claim_of(key), [&](error_code error, claim_result const& answer) {
                CHECK(std::holds_alternative<granted>(answer));
                told.push_back(error);
            });
        }
    }
    context.run();
    CHECK(told == std::vector<error_code>(keys.size()));
    CHECK(redirected(cluster[0], "ASK") == 1);
}

TEST_CASE("redis cluster: a store that has done nothing ends at once") {
    redis_cluster cluster({.primaries = 1, .replicas_each = 0});
    boost::asio::io_context context;
    { redis_store const store(context.get_executor(), cluster_options(cluster)); }
    context.run();
    CHECK(context.stopped());
}

TEST_CASE("redis cluster: a rate limiter counts each client on the node that has it") {
    redis_cluster cluster(without_replicas);
    boost::asio::io_context context;
    redis_rate_limiter limiter(context.get_executor(), cluster_options(cluster), {.limit = 1, .window = 1min});
    std::size_t passed = 0;
    constexpr std::size_t clients = 30;
    for (std::size_t number = 0; number < 2 * clients; ++number) {
        limiter.async_take(numbered_key((number % clients) * 0x9E3779B97F4A7C15),
                           [&](error_code error, rate_decision const& decision) {
                               CHECK_FALSE(error);
                               passed += decision.allowed ? 1 : 0;
                           });
    }
    while (passed < clients) context.run_one();
    for (std::size_t node = 0; node < cluster.size(); ++node) CHECK(cluster[node].ask({"DBSIZE"}) != "0");
}

TEST_CASE("redis cluster: the documented permissions are enough") {
    redis_cluster cluster(without_replicas);
    for (std::size_t node = 0; node < cluster.size(); ++node) {
        cluster[node].ask(
            {"ACL", "SETUSER", "app", "on", ">one", "~idempo:*", "+get", "+set", "+del", "+pttl", "+pexpire"});
        cluster[node].ask(
            {"ACL", "SETUSER", "app", "+eval", "+evalsha", "+info", "+select", "+cluster|slots", "+asking"});
        cluster[node].ask({"ACL", "SETUSER", "app", "+hget", "+hset", "+hstrlen"});
        cluster[node].ask({"ACL", "LOG", "RESET"});
    }
    auto options = cluster_options(cluster);
    options.user = "app";
    options.password = "one";
    options.client_name.clear();
    inspectable_redis store(options);
    CHECK(answers_all(store));
    cluster.move(slot_of(keys[0]), 0, 1);
    CHECK(answers_all(store));
    for (std::size_t node = 0; node < cluster.size(); ++node) CHECK(cluster[node].ask({"ACL", "LOG"}).empty());
}

TEST_CASE("redis cluster: a context that is destroyed with operations in flight leaves nothing behind") {
    redis_cluster cluster(without_replicas);
    auto const witness = std::make_shared<int>(0);
    constexpr std::size_t clients = 30;
    std::size_t answered = 0;
    {
        boost::asio::io_context context;
        redis_rate_limiter limiter(context.get_executor(), cluster_options(cluster), {.limit = 1, .window = 1min});
        for (std::size_t number = 0; number < clients; ++number) {
            limiter.async_take(numbered_key(number * 0x9E3779B97F4A7C15),
                               [&answered, witness](error_code, rate_decision const&) { ++answered; });
        }
        while (answered == 0) context.run_one();
    }
    CHECK(answered < clients);
    CHECK(witness.use_count() == 1);
}

TEST_CASE("redis cluster: over TLS each node is asked for its certificate") {
    test_certificate const certificate("localhost");
    auto flags = certificate.redis_flags();
    flags.insert(flags.end(), {"--tls-cluster", "yes", "--tls-replication", "yes", "--cluster-announce-hostname",
                               "localhost", "--cluster-preferred-endpoint-type", "hostname"});
    redis_cluster cluster({.primaries = 3, .replicas_each = 0, .flags = flags});
    auto options = cluster_options(cluster);
    for (auto& seed : options.cluster_nodes) seed.host = "localhost";
    options.operation_timeout = 5s;  // connections are made meanwhile
    options.tls.emplace().ca_file = certificate.path();
    inspectable_redis store(options);
    CHECK(answers_all(store));
    cluster.move(slot_of(keys[0]), 0, 1);
    CHECK(answers_all(store));

    test_certificate const another("localhost");
    redis_events const events;
    options.tls->ca_file = another.path();
    options.observer = events.observer();
    inspectable_redis distrusting(options);
    CHECK(error_of_claim(distrusting, keys[0]) == error::store_unavailable);
    CHECK(events.count(redis_problem::none) == 0);
}
