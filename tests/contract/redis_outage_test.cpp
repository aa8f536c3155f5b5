// SPDX-License-Identifier: MIT
#include "support/campaign.hpp"
#include "support/catch.hpp"
#include "support/fault_proxy.hpp"
#include "support/inspectable_redis.hpp"
#include "support/pending_answer.hpp"
#include "support/record_burst.hpp"
#include "support/redis_scene.hpp"
#include "support/redis_server.hpp"

#include <idempo/redis/store.hpp>
#include <idempo/store.hpp>

#include <boost/asio/error.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <string>
#include <thread>
#include <variant>
#include <vector>

using namespace idempo::tests;
using namespace idempo;

// A server that is killed, stopped, gone or full of other clients.

// Not with `everysec`: while Redis waits for an fsync it answers, and keeps for up to two seconds to itself what it has
// not written (docs/redis.md).
TEST_CASE("redis: killed and restarted with its append-only file, no acknowledged record is lost") {
    auto const policy = GENERATE(as<std::string>{}, "always", "no");
    CAPTURE(policy);
    redis_server server({"--appendonly", "yes", "--appendfsync", policy});
    int const cycles = campaign_cycles(40);
    constexpr std::size_t records = 40;
    std::size_t acknowledged = 0;
    for (int cycle = 0; cycle < cycles; ++cycle) {
        CAPTURE(cycle);
        inspectable_redis store(local_redis(server.port()));
        poll_until([&] { return works(store); });
        record_burst many(store.async(), static_cast<std::size_t>(cycle) * 1000, records);
        many.await_claims(static_cast<std::size_t>(cycle) * 7 % records);
        server.kill();
        many.await();
        server.start();
        inspectable_redis after(local_redis(server.port()));
        poll_until([&] { return works(after); });
        acknowledged += many.check(after);
    }
    CHECK(acknowledged > static_cast<std::size_t>(cycles) * 5);
}

TEST_CASE("redis: while it loads its data requests fail closed, and soon after they succeed") {
    redis_server server(
        {"--appendonly", "yes", "--appendfsync", "always", "--loading-process-events-interval-bytes", "1024"});
    inspectable_redis store(local_redis(server.port()));
    effect_ledger ledger;
    for (std::size_t number = 0; number < 200; ++number) {
        REQUIRE_FALSE(execute(store, numbered_key(number), ledger).first);
    }
    server.kill();
    server.add_flags({"--key-load-delay", "3000"});  // microseconds for each
    server.start(false);
    std::size_t refused = 0;
    poll_until([&] {
        auto const [error, answer] = execute(store, numbered_key(0), ledger);
        refused += error ? 1 : 0;
        return std::holds_alternative<completed>(answer) && !error;
    });
    CHECK(refused > 0);
    CHECK(ledger.size() == 200);
    auto const log = server.log();
    CHECK(log.find("DB loaded") != std::string::npos);
}

TEST_CASE("redis: while it is gone requests fail closed, and soon after its return they succeed") {
    redis_server server({"--appendonly", "yes"});
    fault_proxy proxy(server.port());
    std::atomic<int> refused{0};
    auto options = local_redis(proxy.port());
    options.observer = [&](redis_event const& event) { refused += event.problem == redis_problem::unreachable; };
    inspectable_redis store(options);
    REQUIRE(works(store));
    effect_ledger ledger;
    for (int round = 0; round < 3; ++round) {
        server.kill();
        auto const before = refused.load();
        auto const connections = proxy.connections();
        auto const start = std::chrono::steady_clock::now();
        // Long enough for several attempts to connect, whose pauses grow (connection_fsm_test.cpp).
        poll_until([&] {
            auto const began = std::chrono::steady_clock::now();
            auto const error = execute(store, numbered_key(1), ledger).first;
            CHECK((error == error::store_unavailable || error == error::store_timed_out));
            CHECK(std::chrono::steady_clock::now() - began < 2s);
            return refused - before >= 3;
        });
        CHECK(ledger.size() == static_cast<std::size_t>(round));
        // A pause lasts 20 ms at least, and most are longer. A storm would be hundreds.
        auto const pauses = static_cast<std::size_t>((std::chrono::steady_clock::now() - start) / 20ms);
        CHECK(proxy.connections() - connections < 10 + pauses);
        server.start();
        CHECK(time_to_work(store) < 2s);
        CHECK_FALSE(execute(store, numbered_key(100 + static_cast<std::size_t>(round)), ledger).first);
    }
}

TEST_CASE("redis: a half-open connection is given up, and soon after packets arrive again requests succeed") {
    redis_server server;
    fault_proxy proxy(server.port());
    auto options = local_redis(proxy.port());
    options.connect_timeout = 300ms;
    std::atomic<int> lost{0};
    std::atomic<int> not_reached{0};
    options.observer = [&](redis_event const& event) {
        lost += event.problem == redis_problem::lost && event.error == asio::error::timed_out;
        not_reached += event.problem == redis_problem::unreachable && event.error == asio::error::timed_out;
    };
    inspectable_redis store(options);
    REQUIRE(works(store));
    effect_ledger ledger;
    proxy.lose_packets();
    CHECK(execute(store, numbered_key(0), ledger).first == error::store_timed_out);
    poll_until([&] { return lost == 1 && not_reached > 1; });
    auto const error = execute(store, numbered_key(1), ledger).first;
    CHECK((error == error::store_unavailable || error == error::store_timed_out));
    CHECK(ledger.size() == 0);
    CHECK(proxy.connections() == 1);
    proxy.deliver_packets();
    CHECK(time_to_work(store) < 2s);
    CHECK(proxy.connections() == 2);
}

TEST_CASE("redis: the claim that a stopped server carries out after its deadline is gone with its Abandon") {
    redis_server server;
    std::atomic<bool> is_lost{false};
    auto options = local_redis(server.port());
    options.observer = [&](redis_event const& event) {
        if (event.problem == redis_problem::lost) is_lost = true;
    };
    inspectable_redis store(options);
    REQUIRE(works(store));
    bool const is_given_up = GENERATE(false, true);
    CAPTURE(is_given_up);
    server.send_signal(SIGSTOP);
    auto const claim = claim_of(numbered_key(1));
    error_code error;
    static_cast<void>(store.claim(claim, error));
    CHECK(error == error::store_timed_out);
    store.async().async_abandon(claim.key, claim.fencing_token, [](error_code) {});  // as the middleware does
    if (is_given_up) poll_until([&] { return is_lost.load(); });
    server.send_signal(SIGCONT);
    poll_until([&] { return works(store); });
    auto const next = store.claim(claim_of(claim.key), error);
    CHECK_FALSE(error);
    CHECK(std::holds_alternative<granted>(next));
}

TEST_CASE("redis: the claim that a stopped server carries out after its deadline ends with its lease at the latest") {
    redis_server server;
    inspectable_redis store(local_redis(server.port()));
    REQUIRE(works(store));
    server.send_signal(SIGSTOP);
    auto const orphan = claim_of(numbered_key(1), 1s);
    error_code error;
    static_cast<void>(store.claim(orphan, error));
    CHECK(error == error::store_timed_out);
    server.send_signal(SIGCONT);
    poll_until([&] { return works(store); });
    CHECK(std::holds_alternative<in_flight>(store.claim(claim_of(orphan.key), error)));
    std::this_thread::sleep_for(1s);
    auto const next = store.claim(claim_of(orphan.key), error);
    REQUIRE(std::holds_alternative<granted>(next));
    CHECK(std::get<granted>(next).attempt == 2);
}

TEST_CASE("redis: scripts that are forgotten all the time are sent again") {
    redis_server server;
    inspectable_redis store(local_redis(server.port()));
    std::atomic<bool> stop{false};
    std::jthread const forgetter([&] {
        while (!stop) server.ask({"SCRIPT", "FLUSH"});
    });
    effect_ledger ledger;
    for (std::size_t number = 0; number < 500; ++number) {
        CHECK_FALSE(execute(store, numbered_key(number), ledger).first);
        auto const [error, answer] = execute(store, numbered_key(number), ledger);
        CHECK_FALSE(error);
        CHECK(std::holds_alternative<completed>(answer));
    }
    stop = true;
    CHECK(ledger.size() == 500);
    CHECK(info_field(server.ask({"INFO", "errorstats"}), "errorstat_NOSCRIPT") != "");
}

TEST_CASE("redis: more operations than allowed are refused at once") {
    redis_server server;
    auto options = local_redis(server.port());
    options.max_pending = 10;
    inspectable_redis store(options);
    REQUIRE(works(store));
    server.send_signal(SIGSTOP);
    std::vector<pending_answer<claim_result>> pending;
    for (std::size_t number = 0; number < 30; ++number) {
        pending.push_back(begin_claim(store.async(), claim_of(numbered_key(number))));
    }
    std::size_t refused = 0;
    std::size_t timed_out = 0;
    for (auto& each : pending) {
        auto const error = each.get().first;
        refused += error == error::store_unavailable;
        timed_out += error == error::store_timed_out;
    }
    CHECK(refused == 20);
    CHECK(timed_out == 10);
    server.send_signal(SIGCONT);
    CHECK(time_to_work(store) < 2s);
}

TEST_CASE("redis: a store that is given up answers what is pending, and its end waits for nothing") {
    redis_server server;
    detail::background_thread thread;
    std::vector<pending_answer<claim_result>> pending;
    {
        redis_store store(thread.get_executor(), local_redis(server.port()));
        for (std::size_t number = 0; number < 100; ++number) {
            pending.push_back(begin_claim(store, claim_of(numbered_key(number))));
        }
    }
    for (auto& each : pending) CHECK(std::holds_alternative<granted>(each.get().second));
    poll_until([&] { return info_field(server.ask({"INFO", "clients"}), "connected_clients") == "1"; });

    server.send_signal(SIGSTOP);
    auto const start = std::chrono::steady_clock::now();
    {
        redis_store store(thread.get_executor(), local_redis(server.port()));
        pending.clear();
        pending.push_back(begin_claim(store, claim_of(numbered_key(1))));
    }
    CHECK(std::chrono::steady_clock::now() - start < 100ms);
    CHECK(pending.front().get().first);
    server.send_signal(SIGCONT);
}

TEST_CASE("redis: claims of one key that are submitted together are carried out in their order") {
    redis_server server;
    inspectable_redis store(local_redis(server.port()));
    for (std::size_t round = 0; round < 200; ++round) {
        auto const first = claim_of(numbered_key(round));
        auto const second = claim_of(numbered_key(round));
        if (round % 10 == 0) server.ask({"SCRIPT", "FLUSH"});
        auto granted_first = begin_claim(store.async(), first);
        auto rival = begin_claim(store.async(), second);
        store.async().async_abandon(first.key, first.fencing_token, [](error_code) {});
        auto granted_second = begin_claim(store.async(), second);
        auto stored = begin_complete(store.async(), complete_of(second, "second"));
        auto replay = begin_claim(store.async(), first);
        CHECK(std::holds_alternative<granted>(granted_first.get().second));
        CHECK(std::holds_alternative<in_flight>(rival.get().second));
        CHECK(std::holds_alternative<granted>(granted_second.get().second));
        CHECK(std::holds_alternative<done>(stored.get().second));
        CHECK(std::holds_alternative<completed>(replay.get().second));
    }
}
