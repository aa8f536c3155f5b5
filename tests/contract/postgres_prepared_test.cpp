// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/inspectable_postgres.hpp"
#include "support/poll_until.hpp"
#include "support/postgres_scene.hpp"
#include "support/postgres_server.hpp"
#include "support/postgres_session.hpp"
#include "support/store_scene.hpp"

#include <idempo/postgres/connection/prepared_statements.hpp>
#include <idempo/postgres/connection/statement_io.hpp>
#include <idempo/postgres/connection/statement_name.hpp>
#include <idempo/postgres/store.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <variant>

using namespace idempo::tests;
using namespace idempo;
using namespace std::chrono_literals;

namespace {

struct session : postgres_session {
    session() { prepared.set_up(connection.get(), PQbackendPID(connection.get()), soon()); }

    std::int64_t run(std::string const& text) {
        return prepared.run(connection.get(), text, postgres::binary_parameters(), soon()).number(0, 0);
    }

    std::string names() { return ask("SELECT count(*) FROM pg_prepared_statements"); }

    postgres::prepared_statements prepared;
};

claim_result claim_now(inspectable_postgres& store, std::size_t number) {
    error_code error;
    auto answer = store.claim(claim_of(numbered_key(number)), error);
    CHECK_FALSE(error);
    return answer;
}

}  // namespace

TEST_CASE("postgres prepared: a statement is parsed once, and has one plan") {
    session session;
    for (int time = 0; time < 10; ++time) CHECK(session.run("SELECT 1") == 1);
    CHECK(session.run("SELECT 2") == 2);
    CHECK(session.names() == "2");
    CHECK(session.ask("SELECT sum(generic_plans) FROM pg_prepared_statements") == "11");
    CHECK(session.ask("SELECT sum(custom_plans) FROM pg_prepared_statements") == "0");
}

TEST_CASE("postgres prepared: a session that is others', too, keeps neither names nor settings") {
    session session;
    session.ask("DISCARD ALL");
    auto const others = PQbackendPID(session.connection.get()) + 1;
    session.prepared = {};
    session.prepared.set_up(session.connection.get(), others, soon());
    CHECK(session.run("SELECT 1") == 1);
    CHECK(session.names() == "0");
    CHECK(session.ask("SHOW enable_seqscan") == "on");
    CHECK(session.ask("SHOW plan_cache_mode") == "auto");
    CHECK(session.ask("SHOW jit") == "on");
}

TEST_CASE("postgres prepared: a session that has forgotten its names, or has others', goes on without") {
    session session;
    SECTION("forgotten") {
        CHECK(session.run("SELECT 1") == 1);
        session.ask("DEALLOCATE ALL");
    }
    SECTION("another's") { session.ask("PREPARE " + postgres::statement_name("SELECT 1") + " AS SELECT 3"); }
    auto const before = session.names();
    CHECK(session.run("SELECT 1") == 1);
    CHECK(session.run("SELECT 2") == 2);
    CHECK(session.names() == before);
}

TEST_CASE("postgres prepared: another client's names in a pooler's session are of the same statements") {
    session session;
    postgres::prepared_statements other;
    other.set_up(session.connection.get(), PQbackendPID(session.connection.get()), soon());
    auto const run = [&](postgres::prepared_statements& by, std::string const& text) {
        return by.run(session.connection.get(), text, postgres::binary_parameters(), soon()).number(0, 0);
    };
    CHECK(run(other, "SELECT 2") == 2);
    CHECK(run(session.prepared, "SELECT 1") == 1);
    CHECK(run(other, "SELECT 1") == 1);
    CHECK(run(session.prepared, "SELECT 2") == 2);
}

TEST_CASE("postgres prepared: a statement that fails may be repeated") {
    session session;
    CHECK_THROWS_AS(session.run("SELECT count(*) FROM not_made_yet"), postgres::statement_failure);
    session.ask("CREATE TEMPORARY TABLE not_made_yet (id int)");
    CHECK(session.run("SELECT count(*) FROM not_made_yet") == 0);
    session.ask("ALTER TABLE not_made_yet ADD another int");
    CHECK(session.run("SELECT count(*) FROM not_made_yet") == 0);
}

TEST_CASE("postgres prepared: so many names are kept, and no more") {
    session session;
    for (int number = 0; number < 100; ++number) CHECK(session.run("SELECT " + std::to_string(number)) == number);
    CHECK(session.names() == "64");
    CHECK(session.run("SELECT 1") == 1);
    CHECK(session.run("SELECT 99") == 99);
}

TEST_CASE("postgres prepared: a plan that was made while the table was empty uses its index when it is full") {
    postgres_server server({"autovacuum=off"});
    server.ask("ANALYZE idempo_records, idempo_records_marks");
    auto options = local_postgres(server.connection());
    options.workers = 1;
    options.sweep_interval = 1h;
    inspectable_postgres store(options);
    poll_until([&] { return works(store); });
    auto const in_statistics = [&](std::string const& column) {
        return std::stoll(server.ask("SELECT sum(" + column + ") FROM pg_stat_user_tables"));
    };
    CHECK(std::holds_alternative<granted>(claim_now(store, 1)));
    server.ask("INSERT INTO idempo_records (key, token, fingerprint, attempt, lease_until, expires_at, response) "
               "SELECT sha256(i::text::bytea), '\\x00', '\\x00', 1, now(), now() + interval '1 day', '\\x00' "
               "FROM generate_series(1, 20000) AS i");
    auto const walks_before = in_statistics("seq_scan");
    auto const looks_before = in_statistics("idx_scan");
    constexpr std::size_t least = 20;
    for (std::size_t number = 2; number < 2 + least; ++number) {
        CHECK(std::holds_alternative<granted>(claim_now(store, number)));
        CHECK(std::holds_alternative<in_flight>(claim_now(store, number)));
    }
    // A server's process tells what it has counted after a second.
    poll_until([&] { return in_statistics("idx_scan") >= looks_before + static_cast<long long>(2 * least); });
    CHECK(in_statistics("seq_scan") == walks_before);
}
