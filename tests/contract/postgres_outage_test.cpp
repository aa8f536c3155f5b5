// SPDX-License-Identifier: MIT
#include "support/campaign.hpp"
#include "support/catch.hpp"
#include "support/inspectable_postgres.hpp"
#include "support/pending_answer.hpp"
#include "support/postgres_scene.hpp"
#include "support/postgres_server.hpp"
#include "support/record_burst.hpp"

#include <idempo/detail/background_thread.hpp>
#include <idempo/postgres/store.hpp>
#include <idempo/store.hpp>

#include <boost/asio/io_context.hpp>

#include <pqxx/connection>
#include <pqxx/except>
#include <pqxx/nontransaction>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <variant>
#include <vector>

using namespace idempo::tests;
using namespace idempo;

// A server that is killed, stopped, full of other clients, or that kills its sessions.

namespace {

/// Requests of several threads, each with keys of its own, tried again until they are answered.
/// Returns how many calls failed.
template <class Disturb>
int requests_under(inspectable_postgres& store, effect_ledger const& ledger, std::size_t keys, Disturb disturb) {
    constexpr std::size_t threads = 4;
    std::atomic<int> failed{0};
    std::atomic<std::size_t> finished{0};
    {
        std::vector<std::jthread> clients;
        for (std::size_t client = 0; client < threads; ++client) {
            clients.emplace_back([&, client, store]() mutable {
                for (std::size_t number = 0; number < keys; ++number) {
                    auto const key = numbered_key(1'000'000 * (client + 1) + number);
                    // An orphan of a claim that failed holds its key for its lease: that key's client gives up.
                    for (int tries = 0; tries < 3; ++tries) {
                        auto const [error, answer] = execute(store, key, ledger);
                        if (!error) break;
                        ++failed;
                        std::this_thread::sleep_for(10ms);  // without a connection, calls fail at once
                    }
                }
                ++finished;
            });
        }
        while (finished < threads) disturb();
    }
    return failed;
}

}  // namespace

TEST_CASE("postgres: killed and restarted under load, no acknowledged record is lost") {
    postgres_server server;
    int const count = campaign_cycles(4);
    constexpr std::size_t records = 200;
    int acknowledged = 0;
    for (int cycle = 0; cycle < count; ++cycle) {
        CAPTURE(cycle);
        inspectable_postgres store(local_postgres(server.connection()));
        poll_until([&] { return works(store); });
        record_burst many(store.async(), static_cast<std::size_t>(cycle) * 1000, records);
        many.await_claims(static_cast<std::size_t>(cycle) * 53 % records + 1);
        server.kill();
        server.start();
        many.await();
        inspectable_postgres after(local_postgres(server.connection()));
        poll_until([&] { return works(after); });
        acknowledged += static_cast<int>(many.check(after));
    }
    WARN(acknowledged << " acknowledged in " << count << " cycles");
    CHECK(acknowledged > count);
}

TEST_CASE("postgres: while it is gone requests fail closed, and soon after its return they succeed") {
    postgres_server server;
    inspectable_postgres store(local_postgres(server.connection()));
    REQUIRE(works(store));
    effect_ledger ledger;
    for (std::size_t round = 0; round < 2; ++round) {
        server.kill();
        for (int calls = 0; calls < 50; ++calls) {
            auto const error = execute(store, numbered_key(1), ledger).first;
            CHECK((error == error::store_unavailable || error == error::store_timed_out));
            std::this_thread::sleep_for(5ms);
        }
        CHECK(ledger.size() == round);
        server.start();
        CHECK(time_to_work(store) < 2s);
        CHECK_FALSE(execute(store, numbered_key(100 + round), ledger).first);
    }
}

TEST_CASE("postgres: sessions that are killed again and again lose no record and repeat no effect") {
    postgres_server server;
    auto options = local_postgres(server.connection());
    postgres_events events;
    options.observer = events.observer();
    inspectable_postgres store(options);
    REQUIRE(works(store));
    effect_ledger ledger;
    int killed = 0;
    pqxx::connection administrator(server.connection());
    auto const failed = requests_under(store, ledger, 200, [&] {
        pqxx::nontransaction(administrator)
            .exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                  "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' ORDER BY random() LIMIT 1");
        ++killed;
        // A busy machine needs longer for a new session: some of them must live until they are used.
        auto const before = ledger.size();
        for (int pauses = 0; pauses < 50 && ledger.size() <= before; ++pauses) std::this_thread::sleep_for(20ms);
    });
    WARN(killed << " killed, " << failed << " calls failed");
    CHECK(events.count(postgres_problem::lost) >= 10);
    CHECK(ledger.size() > 600);
    for (auto const& [key, effects] : ledger.by_key()) CHECK(effects == 1);
}

TEST_CASE("postgres: a server that is stopped is given up in time, and used again when it goes on") {
    postgres_server server;
    inspectable_postgres store(local_postgres(server.connection()));
    REQUIRE(works(store));
    effect_ledger ledger;
    server.send_signal(SIGSTOP);
    auto const orphan = claim_of(numbered_key(1));
    error_code error;
    static_cast<void>(store.claim(orphan, error));
    CHECK(error == error::store_timed_out);
    store.async().async_abandon(orphan.key, orphan.fencing_token, [](error_code) {});  // as the middleware does
    for (int calls = 0; calls < 4; ++calls) {
        error = execute(store, numbered_key(2), ledger).first;
        CHECK((error == error::store_unavailable || error == error::store_timed_out));
    }
    CHECK(ledger.size() == 0);
    server.send_signal(SIGCONT);
    CHECK(time_to_work(store) < 2s);
    CHECK_FALSE(execute(store, numbered_key(3), ledger).first);
}

TEST_CASE(
    "postgres: the claim that a stopped server carries out after its deadline ends with its lease at the latest") {
    postgres_server server;
    inspectable_postgres store(local_postgres(server.connection()));
    REQUIRE(works(store));
    auto const lease = 1500ms;
    auto const orphan = claim_of(numbered_key(1), lease);
    auto claim = begin_claim(store.async(), orphan);
    server.send_signal(SIGSTOP);
    static_cast<void>(claim.get());
    server.send_signal(SIGCONT);
    poll_until([&] { return works(store); });
    std::this_thread::sleep_for(lease);
    error_code error;
    CHECK(std::holds_alternative<granted>(store.claim(claim_of(orphan.key), error)));
}

TEST_CASE("postgres: without a free connection slot requests fail closed, and with one they succeed") {
    postgres_server server({"max_connections=8", "superuser_reserved_connections=0"});
    auto options = local_postgres(server.connection());
    effect_ledger ledger;
    std::vector<std::unique_ptr<pqxx::connection>> others;
    try {
        while (others.size() < 20) others.push_back(std::make_unique<pqxx::connection>(server.connection()));
    } catch (pqxx::broken_connection const&) {
        // all slots are taken
    }
    REQUIRE(others.size() < 20);
    inspectable_postgres store(options);
    for (int calls = 0; calls < 20; ++calls) {
        CHECK(execute(store, numbered_key(1), ledger).first == error::store_unavailable);
    }
    CHECK(ledger.size() == 0);
    others.pop_back();
    CHECK(time_to_work(store) < 2s);
    CHECK_FALSE(execute(store, numbered_key(1), ledger).first);
    CHECK(ledger.size() == 1);
}

TEST_CASE("postgres: more operations than allowed are refused at once") {
    postgres_server server;
    auto options = local_postgres(server.connection());
    options.max_pending = 10;
    inspectable_postgres store(options);
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

TEST_CASE("postgres: a store that is given up answers what is pending, and its end waits for nothing") {
    postgres_server server;
    detail::background_thread thread;
    std::vector<pending_answer<claim_result>> pending;
    {
        postgres_store store(thread.get_executor(), local_postgres(server.connection()));
        for (std::size_t number = 0; number < 100; ++number) {
            pending.push_back(begin_claim(store, claim_of(numbered_key(number))));
        }
    }
    for (auto& each : pending) CHECK(std::holds_alternative<granted>(each.get().second));
    poll_until([&] {
        return server.ask("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'") == "1";
    });

    server.send_signal(SIGSTOP);
    pending.clear();
    {
        postgres_store store(thread.get_executor(), local_postgres(server.connection()));
        pending.push_back(begin_claim(store, claim_of(numbered_key(1))));
    }
    CHECK(pending.front().get().first);
    server.send_signal(SIGCONT);
}

TEST_CASE("postgres: the end of the executor's context ends what a stopped server keeps waiting") {
    postgres_server server;
    std::weak_ptr<int> handler_alive;
    {
        boost::asio::io_context context;
        postgres_store store(context.get_executor(), local_postgres(server.connection()));
        auto const kept = std::make_shared<int>(1);
        handler_alive = kept;
        server.send_signal(SIGSTOP);
        store.async_claim(claim_of(numbered_key(1)), [kept](error_code, claim_result const&) { FAIL("not run"); });
        context.poll();
    }
    CHECK(handler_alive.expired());
    server.send_signal(SIGCONT);
}
