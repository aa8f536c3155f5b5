// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/poll_until.hpp"
#include "support/postgres_server.hpp"

#include <idempo/postgres/migrate.hpp>
#include <idempo/postgres/store.hpp>
#include <idempo/stores/blocking.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

using namespace std::chrono_literals;
using namespace idempo::tests;

namespace {

constexpr std::size_t all_migrations = 3;

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

}  // namespace

TEST_CASE("migrate: makes schema and table, once") {
    auto const options = options_for("payments", "keys");
    CHECK(idempo::migrate(options) == all_migrations);
    CHECK(idempo::migrate(options) == 0);
    CHECK(shared_server().ask("SELECT count(*) FROM payments.keys") == "0");
    CHECK(shared_server().ask("SELECT reloptions FROM pg_class WHERE oid = 'payments.keys'::regclass") ==
          "{fillfactor=80}");
}

TEST_CASE("migrate: may be called by many at once") {
    constexpr int callers = 8;
    // The server ends with the thread that started it: this one.
    auto const options = options_for("race", "idempo_records");
    std::atomic<std::size_t> applied{0};
    std::vector<std::thread> threads;
    for (int caller = 0; caller < callers; ++caller) {
        threads.emplace_back([&] { applied += idempo::migrate(options); });
    }
    for (auto& thread : threads) thread.join();
    CHECK(applied == all_migrations);
}

TEST_CASE("migrate: quotes the names that it is given") {
    auto const options = options_for(R"(a "b)", R"(x'; DROP TABLE y; --)");
    CHECK(idempo::migrate(options) == all_migrations);
    CHECK(idempo::check_postgres(options).is_usable());
    CHECK_THROWS_AS(idempo::migrate(options_for("public", std::string(53, 't'))), std::invalid_argument);
}

TEST_CASE("migrate: leaves nothing behind where it fails, and says why") {
    auto const options = options_for("half", "keys");
    shared_server().ask("CREATE SCHEMA half; CREATE TABLE half.keys (other integer)");
    CHECK_THROWS_AS(idempo::migrate(options), std::runtime_error);
    CHECK(shared_server().ask("SELECT to_regclass('half.keys_migrations') IS NULL") == "t");

    auto unreachable = options;
    unreachable.connection = "host=/nonexistent";
    CHECK_THROWS_AS(idempo::migrate(unreachable), std::runtime_error);
}

TEST_CASE("migrate: a table that a later version has added to is used, and not changed") {
    auto const options = options_for("later", "keys");
    idempo::migrate(options);
    shared_server().ask(
        "INSERT INTO later.keys_migrations (number) VALUES (99);"
        "ALTER TABLE later.keys ADD COLUMN of_later text, ADD COLUMN at_later timestamptz NOT NULL DEFAULT now()");
    CHECK(idempo::migrate(options) == 0);
    auto const found = idempo::check_postgres(options);
    CHECK(found.is_usable());
    CHECK(found.warnings().empty());

    auto store = idempo::blocking([&](auto executor) { return idempo::postgres_store(std::move(executor), options); });
    idempo::error_code error;
    idempo::claim_request const claim{{{1}}, {{2}}, idempo::make_fencing_token(), 1min, 1h};
    CHECK(std::holds_alternative<idempo::granted>(store.claim(claim, error)));
    CHECK(store.renew(claim.key, claim.fencing_token, 1min, error));
    idempo::shared_bytes const record("answer");
    CHECK(std::holds_alternative<idempo::done>(
        store.complete({claim.key, claim.fingerprint, claim.fencing_token, record, 1h}, error)));
    auto const replay = store.claim({claim.key, claim.fingerprint, idempo::make_fencing_token(), 1min, 1h}, error);
    REQUIRE(std::holds_alternative<idempo::completed>(replay));
    CHECK(std::get<idempo::completed>(replay).record.view() == "answer");
    CHECK_FALSE(error);
}

TEST_CASE("migrate: roles that may use the table may use the one that is made beside it") {
    auto options = options_for("shared", "ke'ys");
    auto& server = shared_server();
    idempo::migrate(options);
    // As the version before the marks has left it.
    server.ask(R"sql(
DROP TABLE shared."ke'ys_marks";
ALTER TABLE shared."ke'ys" DROP COLUMN remember;
DELETE FROM shared."ke'ys_migrations" WHERE number = 3;
CREATE ROLE "the app" LOGIN;
CREATE ROLE reader LOGIN;
GRANT USAGE ON SCHEMA shared TO "the app", reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON shared."ke'ys" TO "the app";
GRANT SELECT ON shared."ke'ys" TO reader;
GRANT SELECT ON shared."ke'ys_migrations" TO "the app")sql");
    CHECK(idempo::migrate(options) == 1);
    CHECK(server.ask(R"sql(SELECT has_table_privilege('reader', 'shared."ke''ys_marks"', 'SELECT'))sql") == "t");
    CHECK(server.ask(R"sql(SELECT has_table_privilege('reader', 'shared."ke''ys_marks"', 'DELETE'))sql") == "f");

    options.connection = "host=" + server.directory() + " user='the app' dbname=postgres";
    CHECK(idempo::check_postgres(options).is_usable());
    std::atomic<int> problems{0};
    options.observer = [&](idempo::postgres_event const& event) {
        if (event.problem != idempo::postgres_problem::none) ++problems;
    };
    options.sweep_interval = 100ms;
    auto store = idempo::blocking([&](auto executor) { return idempo::postgres_store(std::move(executor), options); });
    idempo::error_code error;
    idempo::claim_request const plain{{{1}}, {{2}}, idempo::make_fencing_token(), 1min, 1h};
    CHECK(std::holds_alternative<idempo::granted>(store.claim(plain, error)));
    CHECK(store.forget(plain.key, error));
    idempo::claim_request remembering{{{3}}, {{2}}, idempo::make_fencing_token(), 1min, 1h};
    remembering.remember = 1h;
    CHECK(std::holds_alternative<idempo::granted>(store.claim(remembering, error)));
    CHECK_FALSE(error);
    // The sweeper, too, has the rights that it needs: it deletes both, and leaves a mark of the second.
    server.ask(
        R"sql(UPDATE shared."ke'ys" SET expires_at = now() - interval '2 minutes' WHERE remember IS NOT NULL)sql");
    poll_until([&] { return server.ask(R"sql(SELECT count(*) FROM shared."ke'ys")sql") == "0"; });
    CHECK(server.ask(R"sql(SELECT count(*) FROM shared."ke'ys_marks")sql") == "1");
    CHECK(std::holds_alternative<idempo::remembered>(store.claim(remembering, error)));
    CHECK(store.forget(remembering.key, error));
    CHECK(problems == 0);
}

TEST_CASE("migrate: the start-up check tells what is wrong with table and server") {
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
