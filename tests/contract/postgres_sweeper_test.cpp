// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/inspectable_postgres.hpp"
#include "support/patience.hpp"
#include "support/poll_until.hpp"
#include "support/postgres_scene.hpp"
#include "support/postgres_server.hpp"
#include "support/store_scene.hpp"
#include <idempo/postgres/connection/connection.hpp>
#include <idempo/postgres/connection/libpq_connect.hpp>
#include <idempo/postgres/queue/sweeper.hpp>
#include <idempo/postgres/queue/sweeper_thread.hpp>
#include <idempo/postgres/statements/filled.hpp>

#include <idempo/detail/background_thread.hpp>
#include <idempo/postgres/migrate.hpp>
#include <idempo/postgres/store.hpp>

#include <boost/asio/use_future.hpp>
#include <pqxx/connection>
#include <pqxx/transaction>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <future>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

using namespace idempo::tests;

namespace {

// Each test uses a table of its own in it.
postgres_server& shared_server() {
    static postgres_server server;
    return server;
}

idempo::postgres_options options_for(std::string schema, std::string table) {
    idempo::postgres_options options;
    options.connection = shared_server().connection();
    options.schema = std::move(schema);
    options.table = std::move(table);
    return options;
}

struct open_connection {
    std::atomic<bool> stop{false};
    std::string why;
    idempo::postgres::socket_guard guard;
    idempo::postgres::connection connection{
        idempo::postgres::connector(shared_server().connection(), std::chrono::seconds{10}).connect(stop, why), guard,
        std::chrono::seconds{10}};
};

}  // namespace

TEST_CASE("postgres sweeper: finds a table with any name") {
    auto const [schema, table] = GENERATE(Catch::Generators::table<std::string, std::string>({
        {R"(a "b)", R"(c'd)"},
        {"{table}", "{rows}"},
        {R"(back\slash)", "dotted.name"},
    }));
    auto const options = options_for(schema, table);
    idempo::migrate(options);
    auto const name = idempo::postgres::quoted_name(schema) + "." + idempo::postgres::quoted_name(table);
    shared_server().ask("INSERT INTO " + name + " (key, token, fingerprint, attempt, lease_until, expires_at) VALUES " +
                        "('due', '', '', 1, '-infinity', '-infinity'), ('alive', '', '', 1, 'infinity', 'infinity')");
    open_connection open;
    idempo::postgres::sweeper sweeper(name);
    auto const swept = sweeper.sweep(open.connection);
    CHECK_FALSE(swept.was_last);
    CHECK(swept.deleted == 1);
    auto const swept_marks = sweeper.sweep(open.connection);
    CHECK(swept_marks.was_last);
    CHECK(swept_marks.deleted == 0);
    CHECK(shared_server().ask("SELECT encode(key, 'escape') FROM " + name) == "alive");
}

TEST_CASE("postgres sweeper: what keeps it waiting ends its walk in time, is told, and is walked through later") {
    auto options = options_for("waits", "keys");
    options.sweep_interval = std::chrono::milliseconds{20};
    postgres_events events;
    options.observer = events.observer();
    idempo::migrate(options);
    pqxx::connection rival(shared_server().connection());
    pqxx::work locking(rival);
    locking.exec("LOCK TABLE waits.keys IN SHARE MODE");
    locking.exec("INSERT INTO waits.keys (key, token, fingerprint, attempt, lease_until, expires_at) VALUES "
                 "('due', '', '', 1, '-infinity', '-infinity')");
    idempo::postgres::sweeper_thread sweeper(options, std::chrono::milliseconds{100});
    std::jthread running([&] { sweeper.run(); });
    poll_until([&] { return events.count(idempo::postgres_problem::lost) > 0; });
    locking.commit();
    auto const is_empty = [] { return shared_server().ask("SELECT count(*) FROM waits.keys") == "0"; };
    poll_until(is_empty);  // perhaps by the process that had been given up
    shared_server().ask("INSERT INTO waits.keys (key, token, fingerprint, attempt, lease_until, expires_at) VALUES "
                        "('due', '', '', 1, '-infinity', '-infinity')");
    poll_until(is_empty);
    sweeper.stop();
}

TEST_CASE("postgres sweeper: deletes what has expired, in slices, and nothing else") {
    auto const options = options_for("swept", "keys");
    idempo::migrate(options);
    constexpr int records = 20'000;
    shared_server().ask("INSERT INTO swept.keys (key, token, fingerprint, attempt, lease_until, expires_at) "
                        "SELECT sha256(number::text::bytea), '', '', 1, now(), "
                        "CASE WHEN number % 4 = 0 THEN now() + interval '1 hour' ELSE '-infinity' END "
                        "FROM generate_series(1, " +
                        std::to_string(records) + ") AS number");
    open_connection open;
    idempo::postgres::sweeper sweeper("swept.keys");
    std::size_t deleted = 0;
    std::size_t slices = 0;
    for (bool ended = false; !ended; ++slices) {
        auto const slice = sweeper.sweep(open.connection);
        CHECK(slice.deleted <= 1000);
        deleted += slice.deleted;
        ended = slice.was_last;
    }
    CHECK(deleted == 3 * records / 4);
    CHECK(slices > 10);
    CHECK(shared_server().ask("SELECT count(*) FROM swept.keys") == std::to_string(records / 4));
}

TEST_CASE("postgres sweeper: waits for no lock, and leaves a record that is being taken over") {
    auto const options = options_for("locked", "keys");
    idempo::migrate(options);
    shared_server().ask("INSERT INTO locked.keys (key, token, fingerprint, attempt, lease_until, expires_at) VALUES "
                        "('a', '', '', 1, '-infinity', '-infinity'), ('b', '', '', 1, '-infinity', '-infinity')");
    open_connection rival;
    open_connection own;
    idempo::postgres::binary_parameters none;
    idempo::postgres::sweeper sweeper("locked.keys");
    // The takeover keeps the lock of the row until its statement ends.
    std::thread takeover([&] {
        static_cast<void>(rival.connection.execute(
            "WITH taken AS (UPDATE locked.keys SET expires_at = 'infinity' WHERE key = 'a' RETURNING 1) "
            "SELECT pg_sleep(0.5) FROM taken",
            none));
    });
    std::size_t deleted = 0;
    poll_until([] {
        return shared_server().ask("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") != "0";
    });
    deleted += sweeper.sweep(own.connection).deleted;
    CHECK(deleted == 1);
    takeover.join();
    deleted += sweeper.sweep(own.connection).deleted;
    CHECK(deleted == 1);
    CHECK(shared_server().ask("SELECT encode(key, 'escape') FROM locked.keys") == "a");
}

TEST_CASE("postgres_store: sweeps while it lives, and leaves what has not expired") {
    auto options = options_for("store", "keys");
    options.sweep_interval = std::chrono::milliseconds{20};
    idempo::migrate(options);
    shared_server().ask("INSERT INTO store.keys (key, token, fingerprint, attempt, lease_until, expires_at) VALUES "
                        "('old', '', '', 1, '-infinity', '-infinity'), ('new', '', '', 1, 'infinity', 'infinity')");
    idempo::detail::background_thread thread;
    idempo::postgres_store const store(thread.get_executor(), options);
    poll_until([] { return shared_server().ask("SELECT count(*) FROM store.keys") == "1"; });
    CHECK(shared_server().ask("SELECT encode(key, 'escape') FROM store.keys") == "new");
}

TEST_CASE("postgres sweeper: deletes no record that has just been claimed anew") {
    auto options = with_patience(options_for("contested", "keys"));
    options.sweep_interval = std::chrono::milliseconds{0};
    options.workers = 4;
    idempo::migrate(options);
    inspectable_postgres store(options);

    std::atomic<bool> stop{false};
    std::atomic<std::size_t> deleted{0};
    std::vector<std::thread> sweepers;
    for (int number = 0; number < 2; ++number) {
        sweepers.emplace_back([&] {
            open_connection open;
            idempo::postgres::sweeper sweeper("contested.keys");
            while (!stop) deleted += sweeper.sweep(open.connection).deleted;
        });
    }
    constexpr std::size_t keys = 200;
    constexpr int rounds = 20;
    std::size_t lost = 0;
    for (int round = 0; round < rounds; ++round) {
        // The second claim of each meets a record that has expired, and that the sweepers are after.
        for (auto const life : {std::chrono::milliseconds{0}, std::chrono::milliseconds{3'600'000}}) {
            std::vector<std::future<idempo::claim_result>> claims;
            for (std::size_t number = 0; number < keys; ++number) {
                auto claim = claim_of(numbered_key(number), life);
                claim.retention = life;
                claims.push_back(store.async().async_claim(claim, boost::asio::use_future));
            }
            for (auto& each : claims) CHECK(std::holds_alternative<idempo::granted>(each.get()));
        }
        lost += keys - std::stoul(shared_server().ask("SELECT count(*) FROM contested.keys WHERE expires_at > now()"));
        shared_server().ask("UPDATE contested.keys SET expires_at = '-infinity'");
    }
    stop = true;
    for (auto& each : sweepers) each.join();
    CHECK(lost == 0);
    CHECK(deleted > 0);
    CHECK(deleted < 2 * keys * rounds);  // some were claimed first
}

TEST_CASE(
    "postgres sweeper: a record that is remembered becomes a mark of 40 bytes at most, which goes when it has ended") {
    auto const options = options_for("marked", "keys");
    idempo::migrate(options);
    shared_server().ask(
        "INSERT INTO marked.keys (key, token, fingerprint, attempt, lease_until, expires_at, remember) "
        "SELECT sha256(n::text::bytea), '', '', 1, '-infinity', clock_timestamp() - '1 second'::interval, "
        "CASE WHEN n <= 500 THEN 3600000 END FROM generate_series(1, 800) AS n;"
        "INSERT INTO marked.keys (key, token, fingerprint, attempt, lease_until, expires_at, remember) "
        "VALUES ('released', '', '', 1, '-infinity', '-infinity', 3600000), "
        "('ended', '', '', 1, '-infinity', clock_timestamp() - '1 hour'::interval, 1000)");
    open_connection open;
    idempo::postgres::sweeper sweeper("marked.keys", std::chrono::milliseconds{0});
    auto const walk = [&] {
        std::size_t deleted = 0;
        for (bool is_over = false; !is_over;) {
            auto const swept = sweeper.sweep(open.connection);
            deleted += swept.deleted;
            is_over = swept.was_last;
        }
        return deleted;
    };
    SECTION("as long as a claim may still meet it, it stays") {
        CHECK(idempo::postgres::sweeper("marked.keys").sweep(open.connection).deleted == 302);
        CHECK(shared_server().ask("SELECT count(*) FROM marked.keys_marks") == "0");
    }
    SECTION("then it is replaced") {
        CHECK(walk() == 802);
        CHECK(shared_server().ask("SELECT count(*) FROM marked.keys_marks") == "500");
        CHECK(shared_server().ask("SELECT max(pg_column_size(key_prefix) + pg_column_size(until)) <= 40 "
                                  "FROM marked.keys_marks") == "t");
        CHECK(walk() == 0);
        shared_server().ask("UPDATE marked.keys_marks SET until = clock_timestamp() WHERE ctid IN "
                            "(SELECT ctid FROM marked.keys_marks LIMIT 200)");
        CHECK(walk() == 200);
        CHECK(shared_server().ask("SELECT count(*) FROM marked.keys_marks") == "300");
    }
    shared_server().ask("DROP TABLE marked.keys, marked.keys_marks, marked.keys_migrations");
}
