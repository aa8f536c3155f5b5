#include "postgres/connection.hpp"
#include "postgres/libpq_connect.hpp"
#include "postgres/sweeper.hpp"
#include "support/catch.hpp"
#include "support/poll_until.hpp"
#include "support/postgres_server.hpp"

#include <idempo/detail/background_thread.hpp>

#include <idempo/postgres_migrate.hpp>
#include <idempo/postgres_store.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace idempo::tests;

namespace {

// Each test uses tables of its own in it.
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
    idempo::postgres::socket_guard guard;
    idempo::postgres::connection connection{
        idempo::postgres::connect(shared_server().connection(), std::chrono::seconds{10}, stop), guard};
};

}  // namespace

TEST_CASE("migrate makes schema and table, once") {
    auto const options = options_for("payments", "keys");
    CHECK(idempo::migrate(options) == 1);
    CHECK(idempo::migrate(options) == 0);
    CHECK(shared_server().ask("SELECT count(*) FROM payments.keys") == "0");
    CHECK(shared_server().ask("SELECT reloptions FROM pg_class WHERE oid = 'payments.keys'::regclass") ==
          "{fillfactor=80}");
}

TEST_CASE("migrate may be called by many at once") {
    constexpr int callers = 8;
    std::atomic<std::size_t> applied{0};
    std::vector<std::thread> threads;
    for (int caller = 0; caller < callers; ++caller) {
        threads.emplace_back([&] { applied += idempo::migrate(options_for("race", "idempo_records")); });
    }
    for (auto& thread : threads) thread.join();
    CHECK(applied == 1);
}

TEST_CASE("migrate quotes the names that it is given") {
    auto const options = options_for(R"(a "b)", R"(x'; DROP TABLE y; --)");
    CHECK(idempo::migrate(options) == 1);
    CHECK(idempo::check_postgres(options).is_usable());
    open_connection open;
    CHECK(idempo::postgres::sweeper(R"("a ""b"."x'; DROP TABLE y; --")").sweep(open.connection).was_last);
    CHECK_THROWS_AS(idempo::migrate(options_for("public", std::string(53, 't'))), std::invalid_argument);
}

TEST_CASE("migrate leaves nothing behind where it fails, and says why") {
    auto const options = options_for("half", "keys");
    shared_server().ask("CREATE SCHEMA half; CREATE TABLE half.keys (other integer)");
    CHECK_THROWS_AS(idempo::migrate(options), std::runtime_error);
    CHECK(shared_server().ask("SELECT to_regclass('half.keys_migrations') IS NULL") == "t");

    auto unreachable = options;
    unreachable.connection = "host=/nonexistent";
    CHECK_THROWS_AS(idempo::migrate(unreachable), std::runtime_error);
}

TEST_CASE("a table of a later version is neither changed nor used") {
    auto const options = options_for("later", "keys");
    idempo::migrate(options);
    shared_server().ask("INSERT INTO later.keys_migrations (number) VALUES (99)");
    CHECK_THROWS_AS(idempo::migrate(options), std::runtime_error);
    auto const found = idempo::check_postgres(options);
    CHECK_FALSE(found.is_usable());
    CHECK(found.warnings().size() == 1);
}

TEST_CASE("the start-up check tells what is wrong with table and server") {
    auto const missing = idempo::check_postgres(options_for("public", "missing"));
    CHECK(missing.schema_version == 0);
    CHECK_FALSE(missing.is_usable());
    CHECK(missing.warnings().size() == 1);
    CHECK(missing.server_version >= 120000);

    auto options = options_for("public", "idempo_records");
    CHECK(idempo::check_postgres(options).is_usable());
    CHECK(idempo::check_postgres(options).warnings().empty());

    options.connection += " options='-c default_transaction_read_only=on -c synchronous_commit=off'";
    auto const bad = idempo::check_postgres(options);
    CHECK_FALSE(bad.is_usable());
    CHECK(bad.warnings().size() == 2);
}

TEST_CASE("the sweeper deletes what has expired, in slices, and nothing else") {
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

TEST_CASE("the sweeper waits for no lock, and leaves a record that is being taken over") {
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
    while (shared_server().ask("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "0") {
        std::this_thread::yield();
    }
    deleted += sweeper.sweep(own.connection).deleted;
    CHECK(deleted == 1);
    takeover.join();
    deleted += sweeper.sweep(own.connection).deleted;
    CHECK(deleted == 1);
    CHECK(shared_server().ask("SELECT encode(key, 'escape') FROM locked.keys") == "a");
}

TEST_CASE("postgres_store sweeps while it lives, and leaves what has not expired") {
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
