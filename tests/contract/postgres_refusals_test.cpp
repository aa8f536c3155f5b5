// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/inspectable_postgres.hpp"
#include "support/message_proxy.hpp"
#include "support/patience.hpp"
#include "support/pending_answer.hpp"
#include "support/postgres_scene.hpp"
#include "support/postgres_server.hpp"

#include <idempo/postgres/store.hpp>
#include <idempo/store.hpp>

#include <pqxx/connection>
#include <pqxx/except>
#include <pqxx/nontransaction>
#include <pqxx/transaction>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <random>
#include <string>
#include <thread>
#include <variant>
#include <vector>

using namespace idempo::tests;
using namespace idempo;

// A server that answers, but not as wished: locked rows, deadlocks, stricter isolation, no writes, no table.

namespace {

std::string sql_key(std::size_t number) { return "'\\x" + to_hex(numbered_key(number).view()) + "'::bytea"; }

/// Claims, Renews, Completes and Abandons of the same keys in any order by several stores at once, as several processes
/// would, with a sweeper beside each. Every operation must have an answer, and each key one holder at a time.
struct overlap {
    std::atomic<int> granted_claims{0};
    std::atomic<int> rivals{0};
    std::atomic<int> replays{0};
    std::atomic<int> renewed{0};
    std::atomic<int> completed_claims{0};
    std::atomic<int> abandoned{0};
    std::atomic<int> failures{0};
};

constexpr std::size_t hot_keys = 100;

/// What a holder does with a key, chosen at random, together with all that it holds.
void end_claims(postgres_store& store, std::vector<claim_request> const& held, std::mt19937_64& random, overlap& seen) {
    std::vector<pending_answer<bool>> renews;
    std::vector<pending_answer<complete_result>> completes;
    for (auto const& each : held) {
        switch (random() % 3) {
        case 0: renews.push_back(begin_renew(store, each)); [[fallthrough]];
        case 1: {
            auto complete = complete_of(each, "stored");
            complete.retention = 2ms;
            completes.push_back(begin_complete(store, complete));
            break;
        }
        default:
            store.async_abandon(each.key, each.fencing_token,
                                [&seen](error_code failed) { ++(failed ? seen.failures : seen.abandoned); });
        }
    }
    for (auto& each : renews) {
        auto const [error, is_held] = each.get();
        ++(error || !is_held ? seen.failures : seen.renewed);
    }
    for (auto& each : completes) {
        auto const [error, answer] = each.get();
        ++(error || !std::holds_alternative<done>(answer) ? seen.failures : seen.completed_claims);
    }
}

void one_process(std::string const& connection, std::uint64_t seed, int rounds, overlap& seen) {
    std::mt19937_64 random(seed);
    auto options = with_patience(local_postgres(connection));
    options.workers = 4;
    options.sweep_interval = 5ms;
    inspectable_postgres store(options);
    for (int round = 0; round < rounds; ++round) {
        std::vector<std::size_t> numbers(hot_keys);
        for (std::size_t number = 0; number < hot_keys; ++number) numbers[number] = number;
        std::ranges::shuffle(numbers, random);
        std::vector<claim_request> claims;
        std::vector<pending_answer<claim_result>> answers;
        for (auto const number : numbers) {
            claims.push_back(claim_of(numbered_key(number)));
            answers.push_back(begin_claim(store.async(), claims.back()));
        }
        std::vector<claim_request> held;
        for (std::size_t place = 0; place < answers.size(); ++place) {
            auto const [error, answer] = answers[place].get();
            seen.failures += bool(error);
            if (std::holds_alternative<granted>(answer)) {
                held.push_back(claims[place]);
            } else {
                ++(std::holds_alternative<completed>(answer) ? seen.replays : seen.rivals);
            }
        }
        seen.granted_claims += static_cast<int>(held.size());
        end_claims(store.async(), held, random, seen);
    }
}

std::string idle_in_transactions(postgres_server const& server) {
    return server.ask("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'");
}

/// From then on the store states the isolation of its one connection's statements.
void meet_serialization_failure(postgres_server const& server, inspectable_postgres& store, postgres_events& events) {
    for (std::size_t number = 0; number < 20 && events.count("40001") == 0; ++number) {
        // Another transaction claims the key; ours waits for it, and then sees a row that its snapshot has not.
        pqxx::connection other(server.connection());
        pqxx::work rival(other);
        rival.exec("INSERT INTO idempo_records VALUES (" + sql_key(number) +
                   ", 'rival', 'other', 1, clock_timestamp() + '1 h', clock_timestamp() + '1 h')");
        auto claim = begin_claim(store.async(), claim_of(numbered_key(number)));
        poll_until([&] { return server.ask(count_of_lock_waits) == "1"; });
        rival.commit();
        auto const [error, answer] = claim.get();
        CHECK_FALSE(error);
        CHECK(std::holds_alternative<mismatch>(answer));
    }
    REQUIRE(events.count("40001") > 0);
}

/// Options of a store that waits for long: another session may be stopped.
postgres_options patient_postgres(postgres_server const& server) {
    auto options = with_patience(local_postgres(server.connection()));
    options.operation_timeout = 30s;
    return options;
}

double seconds_of(postgres_server const& server, std::string const& sql) { return std::stod(server.ask(sql)); }

/// The next statement that inserts a row stops before it does: its process is scheduled late, or its machine is
/// suspended. Meanwhile its client may have given up, and may have sent the operation again.
class stopped_insert {
public:
    explicit stopped_insert(postgres_server& server) : server_(server), session_(server.connection()), lock_(session_) {
        server.ask(R"sql(
CREATE TABLE stops (number integer);
INSERT INTO stops VALUES (1);
CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM pg_advisory_xact_lock(number) FROM stops;
    RETURN NEW;
END $$;
CREATE TRIGGER stop BEFORE INSERT ON idempo_records FOR EACH ROW EXECUTE FUNCTION stop();
        )sql");
        lock_.exec("SELECT pg_advisory_xact_lock(1)");
    }

    /// Until one has stopped; others do not.
    void wait() {
        poll_until([&] { return server_.ask(count_of_lock_waits) == "1"; });
        server_.ask("DELETE FROM stops");
    }
    /// Until another operation has ended, or waits for a row.
    template <class Future>
    void wait_for_other(Future const& operation) {
        poll_until([&] {
            return operation.wait_for(0s) == std::future_status::ready || server_.ask(count_of_lock_waits) == "2";
        });
    }
    void go_on() { lock_.abort(); }

private:
    postgres_server& server_;
    pqxx::connection session_;
    pqxx::work lock_;
};

}  // namespace

TEST_CASE("postgres: batches over the same keys in any order deadlock nowhere, and no operation fails") {
    auto const isolation = GENERATE(as<std::string>{}, "read committed", "repeatable read", "serializable");
    postgres_server server({"default_transaction_isolation='" + isolation + "'"});
    auto const seed = std::random_device{}();
    CAPTURE(isolation, seed);
    constexpr std::size_t processes = 3;
    overlap seen;
    {
        std::vector<std::jthread> running;
        for (std::size_t process = 0; process < processes; ++process) {
            running.emplace_back([&, process] { one_process(server.connection(), seed + process, 20, seen); });
        }
    }
    CHECK(seen.failures == 0);
    CHECK(seen.granted_claims > 100);
    CHECK(seen.rivals + seen.replays > 100);
    for (auto const* each : {&seen.renewed, &seen.completed_claims, &seen.abandoned}) CHECK(*each > 50);
    CHECK(server.ask("SELECT pg_stat_force_next_flush(); SELECT deadlocks FROM pg_stat_database "
                     "WHERE datname = 'postgres'") == "0");
}

TEST_CASE("postgres: a serialization failure is overcome by read committed") {
    postgres_server server({"default_transaction_isolation='repeatable read'"});
    postgres_events events;
    auto options = with_patience(local_postgres(server.connection()));
    options.observer = events.observer();
    options.workers = 1;
    inspectable_postgres store(options);
    REQUIRE(works(store));
    effect_ledger ledger;
    meet_serialization_failure(server, store, events);
    CHECK_FALSE(execute(store, numbered_key(1000), ledger).first);
}

TEST_CASE("postgres: a client that falls silent within a transaction keeps neither its row nor its worker") {
    postgres_server server({"default_transaction_isolation='repeatable read'"});
    message_proxy network(server);
    postgres_events events;
    auto options = local_postgres(network.connection());
    options.observer = events.observer();
    options.operation_timeout = 2s;
    options.workers = 1;
    options.sweep_interval = 0ms;  // its rows would be locked, too
    inspectable_postgres store(options);
    REQUIRE(works(store));
    meet_serialization_failure(server, store, events);

    auto const key = numbered_key(1000);
    effect_ledger ledger;
    execute(store, key, ledger);
    server.ask("UPDATE idempo_records SET expires_at = '-infinity'");
    pqxx::connection other(server.connection());
    pqxx::work holder(other);
    holder.exec("SELECT 1 FROM idempo_records WHERE key = " + sql_key(1000) + " FOR UPDATE");
    auto claim = begin_claim(store.async(), claim_of(key));
    poll_until([&] { return server.ask(count_of_lock_waits) == "1"; });
    network.forget_connections();
    holder.commit();
    // The statement has its row now, and its answer never arrives.
    poll_until([&] { return idle_in_transactions(server) == "1"; });
    CHECK(claim.get().first);

    options.connection = server.connection();
    inspectable_postgres rival(options);
    poll_until([&] { return !begin_claim(rival.async(), claim_of(key)).get().first; });
    poll_until([&] { return !begin_claim(store.async(), claim_of(numbered_key(1001))).get().first; });
    CHECK(idle_in_transactions(server) == "0");
}

TEST_CASE("postgres: a statement that a stopped process carries out late takes no lease back") {
    bool const is_renewal = GENERATE(false, true);
    CAPTURE(is_renewal);
    postgres_server server;
    auto const options = patient_postgres(server);
    inspectable_postgres first(options);
    inspectable_postgres second(options);
    auto const claim = claim_of(numbered_key(1));
    auto const is_held = [&](inspectable_postgres& store) {
        if (is_renewal) return begin_renew(store.async(), claim).get().second;
        return std::holds_alternative<granted>(begin_claim(store.async(), claim).get().second);
    };
    if (is_renewal) REQUIRE(std::holds_alternative<granted>(begin_claim(second.async(), claim).get().second));
    stopped_insert stopped(server);
    auto late = std::async(std::launch::async, [&] { return is_held(first); });
    stopped.wait();
    auto const sent_at = seconds_of(server, "SELECT date_part('epoch', clock_timestamp())");
    auto again = std::async(std::launch::async, [&] { return is_held(second); });
    stopped.wait_for_other(again);
    stopped.go_on();
    CHECK(late.get());
    CHECK(again.get());
    CHECK(seconds_of(server, "SELECT date_part('epoch', lease_until) FROM idempo_records") >=
          sent_at + std::chrono::duration<double>(claim.lease).count());
}

TEST_CASE("postgres: a renewal that a stopped process carries out late brings no record back") {
    postgres_server server;
    auto const options = patient_postgres(server);
    inspectable_postgres first(options);
    inspectable_postgres second(options);
    auto const claim = claim_of(numbered_key(1));
    REQUIRE(std::holds_alternative<granted>(begin_claim(second.async(), claim).get().second));
    stopped_insert stopped(server);
    auto late = begin_renew(first.async(), claim);
    stopped.wait();
    auto abandoned = std::async(std::launch::async, [&] {
        error_code error;
        second.abandon(claim.key, claim.fencing_token, error);
        // As the sweeper does.
        server.ask("DELETE FROM idempo_records WHERE expires_at <= clock_timestamp()");
        return error;
    });
    stopped.wait_for_other(abandoned);
    stopped.go_on();
    late.wait();
    CHECK_FALSE(abandoned.get());
    auto const next = begin_claim(second.async(), claim_of(claim.key)).get().second;
    REQUIRE(std::holds_alternative<granted>(next));
    CHECK(std::get<granted>(next).attempt == 1);
}

TEST_CASE("postgres: an Abandon that a stopped process carries out late keeps the mark of an expired record") {
    postgres_server server;
    inspectable_postgres store(patient_postgres(server));
    auto claim = claim_of(numbered_key(1));
    claim.remember = 1h;
    REQUIRE(std::holds_alternative<granted>(begin_claim(store.async(), claim).get().second));
    stopped_insert stopped(server);
    auto late = std::async(std::launch::async, [&] {
        error_code error;
        store.abandon(claim.key, claim.fencing_token, error);
        return error;
    });
    stopped.wait();
    server.ask("UPDATE idempo_records SET expires_at = clock_timestamp()");
    stopped.go_on();
    CHECK_FALSE(late.get());
    claim.fencing_token = claim_of(claim.key).fencing_token;
    CHECK(std::holds_alternative<remembered>(begin_claim(store.async(), claim).get().second));
}

TEST_CASE("postgres: a deadlock with another session ends, and costs no other claim") {
    postgres_server server({"deadlock_timeout='10ms'"});
    postgres_events events;
    auto options = local_postgres(server.connection());
    options.observer = events.observer();
    options.workers = 1;
    inspectable_postgres store(options);
    effect_ledger ledger;
    for (std::size_t const number : {1U, 2U}) execute(store, numbered_key(number), ledger);
    // A claim that meets a record only reads; one that finds an expired row locks it.
    server.ask("UPDATE idempo_records SET expires_at = '-infinity'");

    pqxx::connection other(server.connection());
    pqxx::work transaction(other);
    auto const lock = [&](std::size_t number) {
        transaction.exec("SELECT 1 FROM idempo_records WHERE key = " + sql_key(number) + " FOR UPDATE");
    };
    lock(2);
    std::vector<pending_answer<claim_result>> claims;
    in_one_turn(store.async(), [&] {
        for (std::size_t const number : {1U, 2U, 3U}) {
            claims.push_back(begin_claim(store.async(), claim_of(numbered_key(number))));
        }
    });
    poll_until([&] { return server.ask(count_of_lock_waits) == "1"; });
    bool is_victim = false;
    try {
        lock(1);  // held by our batch, which waits for 2
    } catch (pqxx::deadlock_detected const&) {
        is_victim = true;
    }
    transaction.abort();
    for (auto& each : claims) CHECK(std::holds_alternative<granted>(each.get().second));
    CHECK((is_victim || events.count("40P01") + events.count("55P03") > 0));
}

TEST_CASE("postgres: a row that another session has locked fails alone") {
    postgres_server server;
    auto options = local_postgres(server.connection());
    // The claims are made one after another once the batch has failed, which takes a busy machine more than a second.
    options.operation_timeout = 5s;
    inspectable_postgres store(options);
    effect_ledger ledger;
    execute(store, numbered_key(0), ledger);
    server.ask("UPDATE idempo_records SET expires_at = '-infinity'");
    pqxx::connection other(server.connection());
    pqxx::work transaction(other);
    transaction.exec("SELECT 1 FROM idempo_records WHERE key = " + sql_key(0) + " FOR UPDATE");

    std::vector<pending_answer<claim_result>> claims;
    in_one_turn(store.async(), [&] {
        for (std::size_t number = 0; number < 64; ++number) {
            claims.push_back(begin_claim(store.async(), claim_of(numbered_key(number))));
        }
    });
    auto const locked = claims.front().get().first;
    CHECK((locked == error::store_unavailable || locked == error::store_timed_out));
    std::size_t granted_claims = 0;
    for (std::size_t number = 1; number < 64; ++number) {
        auto const [error, answer] = claims[number].get();
        granted_claims += !error && std::holds_alternative<granted>(answer);
    }
    CHECK(granted_claims == 63);
    // Nothing of ours waits in the server any more: it would be in the way of others for as long as the lock lasts.
    poll_until([&] { return server.ask(count_of_lock_waits) == "0"; });
    transaction.abort();
    auto const [error, answer] = execute(store, numbered_key(0), ledger);
    CHECK_FALSE(error);
    CHECK(std::holds_alternative<granted>(answer));
}

TEST_CASE("postgres: a server that is read-only fails closed, and is used again when it is not") {
    postgres_server server;
    postgres_events events;
    auto options = local_postgres(server.connection());
    options.observer = events.observer();
    inspectable_postgres store(options);
    REQUIRE(works(store));
    effect_ledger ledger;
    server.ask("ALTER SYSTEM SET default_transaction_read_only = on");
    server.ask("SELECT pg_reload_conf()");
    poll_until([&] { return !works(store); });
    for (int calls = 0; calls < 50; ++calls) {
        CHECK(execute(store, numbered_key(1), ledger).first == error::store_unavailable);
        std::this_thread::sleep_for(2ms);
    }
    CHECK(ledger.size() == 0);
    CHECK(events.count(postgres_problem::read_only) > 0);
    CHECK(events.count(postgres_problem::none) < 20);  // no storm of connections
    server.ask("ALTER SYSTEM RESET default_transaction_read_only");
    server.ask("SELECT pg_reload_conf()");
    auto const start = std::chrono::steady_clock::now();
    poll_until([&] { return works(store); });
    CHECK(std::chrono::steady_clock::now() - start < 2s);
    CHECK_FALSE(execute(store, numbered_key(1), ledger).first);
}

TEST_CASE("postgres: without its table requests fail closed, and the observer is told why") {
    postgres_server server;
    postgres_events events;
    auto options = local_postgres(server.connection());
    options.observer = events.observer();
    options.table = "absent";
    inspectable_postgres store(options);
    effect_ledger ledger;
    CHECK(execute(store, numbered_key(1), ledger).first == error::store_unavailable);
    CHECK(ledger.size() == 0);
    CHECK(events.count("42P01") > 0);
}

TEST_CASE("postgres: synchronous_commit is on for each operation, whatever the default") {
    postgres_server server({"synchronous_commit='off'", "log_statement='none'"});
    inspectable_postgres store(local_postgres(server.connection()));
    REQUIRE(works(store));
    // The server is killed with what it has not written yet: an asynchronous commit would be lost now and then.
    std::size_t lost = 0;
    for (std::size_t number = 0; number < 3; ++number) {
        inspectable_postgres before(local_postgres(server.connection()));
        poll_until([&] { return works(before); });
        error_code error;
        REQUIRE(std::holds_alternative<granted>(before.claim(claim_of(numbered_key(number)), error)));
        server.kill();
        server.start();
        inspectable_postgres after(local_postgres(server.connection()));
        poll_until([&] { return works(after); });
        lost += !std::holds_alternative<in_flight>(after.claim(claim_of(numbered_key(number)), error));
    }
    CHECK(lost == 0);
}

TEST_CASE("postgres: claims of one key that are submitted together are carried out in their order") {
    postgres_server server;
    inspectable_postgres store(local_postgres(server.connection()));
    for (std::size_t round = 0; round < 100; ++round) {
        auto const first = claim_of(numbered_key(round));
        auto const second = claim_of(numbered_key(round));
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

TEST_CASE("postgres: of many claims of one key that are submitted together one is granted") {
    postgres_server server;
    inspectable_postgres store(local_postgres(server.connection()));
    for (std::size_t round = 0; round < 10; ++round) {
        CAPTURE(round);
        auto const before = claim_of(numbered_key(round));
        error_code error;
        REQUIRE(std::holds_alternative<granted>(store.claim(before, error)));
        std::vector<pending_answer<claim_result>> claims;
        in_one_turn(store.async(), [&] {
            // Behind it all of them wait, and find no record when it has ended.
            store.async().async_abandon(before.key, before.fencing_token, [](error_code) {});
            while (claims.size() < 300) claims.push_back(begin_claim(store.async(), claim_of(before.key)));
        });
        CHECK(std::holds_alternative<granted>(claims.front().get().second));
        for (std::size_t number = 1; number < claims.size(); ++number) {
            REQUIRE(std::holds_alternative<in_flight>(claims[number].get().second));
        }
    }
}

TEST_CASE("postgres: only the server's clock judges, whatever the application's zone and the server's") {
    postgres_server server({"timezone='Pacific/Auckland'"});
    inspectable_postgres store(local_postgres(server.connection()));
    error_code error;
    auto const claim = claim_of(numbered_key(1), 30s);
    REQUIRE(std::holds_alternative<granted>(store.claim(claim, error)));
    auto const seconds_left = std::stod(server.ask("SELECT extract(epoch FROM lease_until - clock_timestamp()) "
                                                   "FROM idempo_records WHERE key = " +
                                                   sql_key(1)));
    CHECK(seconds_left > 20);
    CHECK(seconds_left <= 30);
}
