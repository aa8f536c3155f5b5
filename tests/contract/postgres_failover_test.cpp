// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/inspectable_postgres.hpp"
#include "support/postgres_scene.hpp"
#include "support/postgres_server.hpp"
#include "support/requests.hpp"

#include <idempo/detail/background_thread.hpp>
#include <idempo/options.hpp>
#include <idempo/postgres/transaction/transactional.hpp>

#include <pqxx/subtransaction>

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <variant>

using namespace idempo::tests;
using namespace idempo;

// A primary with a streaming standby, asynchronous as they are by default.

namespace {

/// Whichever of the two may be written to, as libpq finds out.
std::string connection_to(postgres_server const& one, postgres_server const& other) {
    return "host=" + one.directory() + "," + other.directory() +
           " user=idempo dbname=postgres target_session_attrs=read-write";
}

std::string position(postgres_server const& server, std::string const& function) {
    return server.ask("SELECT " + function + "()");
}

void wait_until_replicated(postgres_server const& primary, postgres_server const& standby) {
    auto const written = position(primary, "pg_current_wal_lsn");
    poll_until([&] { return standby.ask("SELECT pg_last_wal_replay_lsn() >= '" + written + "'") == "t"; });
}

/// The primary dies with what it has committed since the standby died.
void fail_over(postgres_server& primary, postgres_server& standby) {
    primary.kill();
    standby.start();
    standby.promote();
}

}  // namespace

TEST_CASE("postgres: a standby fails closed, and serves when it has been promoted, with all that was replicated") {
    postgres_server primary;
    postgres_server const standby(postgres_server::standby_of{primary});
    effect_ledger ledger;
    {
        inspectable_postgres store(local_postgres(primary.connection()));
        REQUIRE_FALSE(execute(store, numbered_key(1), ledger).first);
    }
    wait_until_replicated(primary, standby);

    postgres_events events;
    auto options = local_postgres(standby.connection());
    options.observer = events.observer();
    inspectable_postgres store(options);
    for (std::size_t number = 0; number < 20; ++number) {
        CHECK(execute(store, numbered_key(number), ledger).first == error::store_unavailable);
    }
    CHECK(ledger.size() == 1);
    CHECK(events.count(postgres_problem::read_only) > 0);

    primary.kill();
    standby.promote();
    auto const start = std::chrono::steady_clock::now();
    poll_until([&] { return works(store); });
    CHECK(std::chrono::steady_clock::now() - start < 2s);
    CHECK(std::holds_alternative<completed>(execute(store, numbered_key(1), ledger).second));
    CHECK(std::holds_alternative<granted>(execute(store, numbered_key(2), ledger).second));
    CHECK(ledger.size() == 2);
}

TEST_CASE("postgres: a failover to a standby that had fallen behind loses what was acknowledged since") {
    postgres_server primary;
    postgres_server standby(postgres_server::standby_of{primary});
    inspectable_postgres store(local_postgres(connection_to(primary, standby)));
    effect_ledger ledger;
    REQUIRE_FALSE(execute(store, numbered_key(1), ledger).first);
    wait_until_replicated(primary, standby);
    standby.kill();
    REQUIRE_FALSE(execute(store, numbered_key(2), ledger).first);
    fail_over(primary, standby);

    poll_until([&] { return works(store); });
    CHECK(std::holds_alternative<completed>(execute(store, numbered_key(1), ledger).second));
    CHECK(std::holds_alternative<granted>(execute(store, numbered_key(2), ledger).second));
    CHECK(ledger.count(to_hex(numbered_key(1).view())) == 1);
    CHECK(ledger.count(to_hex(numbered_key(2).view())) == 2);  // as docs/guarantees.md says
}

TEST_CASE("transactional: a failover to a standby that had fallen behind loses effect and record together") {
    postgres_server primary;
    primary.ask("CREATE TABLE effects (name text NOT NULL)");
    postgres_server standby(postgres_server::standby_of{primary});
    detail::background_thread thread;
    transactional_options database;
    database.database.connection = connection_to(primary, standby);
    options options;
    options.scope = scope::single_tenant();
    auto const handle = transactional(thread.get_executor(), database, options) |
                        [](text_request const&, pqxx::subtransaction& rows, execution& execution) {
                            rows.exec("INSERT INTO effects VALUES (" + rows.quote(std::string(execution.key())) + ")");
                            text_response response(http::status::created, 11);
                            response.prepare_payload();
                            return response;
                        };
    auto const send = [&](char const* key) { return text_response(handle(keyed_request(key))); };
    CHECK(send("replicated").result_int() == 201);
    wait_until_replicated(primary, standby);
    standby.kill();
    CHECK(send("lost").result_int() == 201);
    fail_over(primary, standby);

    text_response again;
    poll_until([&] {
        again = send("replicated");
        return again.result_int() != 503;
    });
    CHECK(is_replay(again));
    again = send("lost");
    CHECK(again.result_int() == 201);
    CHECK_FALSE(is_replay(again));
    CHECK(is_replay(send("lost")));
    for (std::string const key : {"replicated", "lost"}) {
        CHECK(standby.ask("SELECT count(*) FROM effects WHERE name = '" + key + "'") == "1");
    }
}
