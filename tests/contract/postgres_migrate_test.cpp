// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
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
    idempo::claim_request const claim{{{1}}, {{2}}, idempo::make_token(), 1min, 1h};
    CHECK(std::holds_alternative<idempo::granted>(store.claim(claim, error)));
    CHECK(store.renew(claim.key, claim.token, 1min, error));
    idempo::shared_bytes const record("answer");
    CHECK(std::holds_alternative<idempo::done>(
        store.complete({claim.key, claim.fingerprint, claim.token, record, 1h}, error)));
    auto const replay = store.claim({claim.key, claim.fingerprint, idempo::make_token(), 1min, 1h}, error);
    REQUIRE(std::holds_alternative<idempo::completed>(replay));
    CHECK(std::get<idempo::completed>(replay).record.view() == "answer");
    CHECK_FALSE(error);
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
