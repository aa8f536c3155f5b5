// SPDX-License-Identifier: MIT
#include "support/campaign.hpp"
#include "support/catch.hpp"
#include "support/heap_use.hpp"
#include "support/inspectable_postgres.hpp"
#include "support/message_proxy.hpp"
#include "support/pgbouncer.hpp"
#include "support/poll_until.hpp"
#include "support/postgres_scene.hpp"
#include "support/postgres_server.hpp"
#include "support/store_scene.hpp"

#include <idempo/postgres/migrate.hpp>
#include <idempo/postgres/store.hpp>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_future.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <future>
#include <string>
#include <thread>
#include <variant>
#include <vector>

using namespace idempo::tests;
using namespace idempo;
namespace asio = boost::asio;

// Hosts that are silent, records that are large, servers that wait, and roles that may do too little or too much.

namespace {

/// Accepts connections in the kernel, and never says a word.
class silent_host {
public:
    [[nodiscard]] std::string port() const { return std::to_string(listener_.local_endpoint().port()); }

private:
    asio::io_context context_;
    asio::ip::tcp::acceptor listener_{context_, {asio::ip::make_address("127.0.0.1"), 0}};
};

/// Begins all before it waits for the first.
template <class Begin>
auto together(std::size_t count, Begin begin) {
    std::vector<decltype(begin(std::size_t{}))> begun;
    for (std::size_t number = 0; number < count; ++number) begun.push_back(begin(number));
    return begun;
}

claim_result claim_now(inspectable_postgres& store, claim_request const& request) {
    error_code error;
    auto answer = store.claim(request, error);
    CHECK_FALSE(error);
    return answer;
}

}  // namespace

TEST_CASE("postgres: a first host that is silent does not keep the second from being used") {
    postgres_server server;
    silent_host const silent;
    auto options = local_postgres("host=127.0.0.1," + server.directory() + " port=" + silent.port() +
                                  ",5432 user=idempo dbname=postgres target_session_attrs=read-write");
    options.connect_timeout = 300ms;
    CHECK(migrate(options) == 0);
    CHECK(check_postgres(options).is_usable());
    inspectable_postgres store(options);
    poll_until([&] { return works(store); });
    // The one that worked is the first to be tried again: well before the silent one would have had its time.
    server.ask("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
               "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'");
    for (int operations = 0; operations < 10; ++operations) CHECK(works(store));
}

TEST_CASE(
    "postgres: large responses that come at once are all stored, all replayed at the first try, and leave no memory") {
    postgres_server server;
    auto const count = static_cast<std::size_t>(campaign_cycles(160));
    auto options = local_postgres(server.connection());
    postgres_events events;
    options.observer = events.observer();
    // All are under way until the last is, for ten timeouts at most: at 20 MB a second there is time for 200 in each.
    options.operation_timeout *= static_cast<int>(1 + count / 200);
    inspectable_postgres store(options);
    poll_until([&] { return works(store); });
    auto const before = bytes_in_use();
    std::string const body(1'000'000, 'x');
    std::vector<claim_request> claims;
    for (std::size_t number = 0; number < count; ++number) {
        claims.push_back(claim_of(numbered_key(number)));
        REQUIRE(std::holds_alternative<granted>(claim_now(store, claims.back())));
    }
    {
        auto completes = together(count, [&](std::size_t number) {
            return store.async().async_complete(complete_of(claims[number], body), asio::use_future);
        });
        for (auto& each : completes) CHECK(std::holds_alternative<done>(each.get()));
    }
    {
        auto replays = together(count, [&](std::size_t number) {
            return store.async().async_claim(claim_of(claims[number].key), asio::use_future);
        });
        for (auto& each : replays) {
            auto const answer = each.get();
            REQUIRE(std::holds_alternative<completed>(answer));
            CHECK(std::get<completed>(answer).record.size() == body.size());
        }
    }
    CHECK(events.count(postgres_problem::lost) == 0);
    poll_until([&] { return works(store); });
    // libpq keeps the buffers of each connection, which have held a batch of one MiB and a row.
    CHECK(bytes_in_use() < before + options.workers * 8 * body.size());
}

TEST_CASE("postgres: a herd of retries of one large response shares one row of the answer") {
    postgres_server server;
    auto options = local_postgres(server.connection());
    postgres_events events;
    options.observer = events.observer();
    inspectable_postgres store(options);
    poll_until([&] { return works(store); });
    auto const claim = claim_of(numbered_key(1));
    static_cast<void>(claim_now(store, claim));
    error_code error;
    static_cast<void>(store.complete(complete_of(claim, std::string(900'000, 'x')), error));
    REQUIRE_FALSE(error);
    auto retries =
        together(200, [&](std::size_t) { return store.async().async_claim(claim_of(claim.key), asio::use_future); });
    for (auto& each : retries) CHECK(std::holds_alternative<completed>(each.get()));
    CHECK(events.count(postgres_problem::lost) == 0);
}

TEST_CASE("postgres: an idle connection that a firewall has forgotten costs no request") {
    postgres_server server;
    message_proxy network(server);
    auto options = local_postgres(network.connection());
    options.operation_timeout = 4s;
    options.workers = 1;
    options.sweep_interval = 0ms;
    inspectable_postgres store(options);
    poll_until([&] { return works(store); });
    network.forget_connections();
    std::this_thread::sleep_for(2100ms);  // a connection that has been idle for two seconds is looked at
    error_code error;
    CHECK(std::holds_alternative<granted>(store.claim(claim_of(numbered_key(1)), error)));
    CHECK_FALSE(error);
}

TEST_CASE("postgres: a server that waits for its standby keeps no more processes than there are workers") {
    postgres_server server({"synchronous_standby_names = 'missing'", "synchronous_commit = local"});
    auto options = local_postgres(server.connection());
    options.operation_timeout = 200ms;
    postgres_events events;
    options.observer = events.observer();
    inspectable_postgres store(options);
    auto const waiting = [&] {
        return std::stoi(server.ask("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"));
    };
    int most = 0;
    for (std::size_t number = 0; number < 10; ++number) {
        error_code error;
        static_cast<void>(store.claim(claim_of(numbered_key(number)), error));
        CHECK(error);
        most = std::max(most, waiting());
        // A worker that has given up is told so by the server, and asks again: it is ready to leave another one behind.
        auto const told = events.count(postgres_problem::busy);
        if (most > 0) poll_until([&] { return events.count(postgres_problem::busy) > told; });
    }
    CHECK(most == static_cast<int>(options.workers));
    CHECK(events.count(postgres_problem::busy) > 0);
    server.ask("ALTER SYSTEM SET synchronous_standby_names = ''");
    server.ask("SELECT pg_reload_conf()");
    poll_until([&] { return works(store); });
}

TEST_CASE("postgres: a claim that meets a record writes nothing") {
    postgres_server server({"autovacuum=off"});
    inspectable_postgres store(local_postgres(server.connection()));
    poll_until([&] { return works(store); });
    auto const held = claim_of(numbered_key(1));
    auto const stored = claim_of(numbered_key(2));
    for (auto const& each : {held, stored}) static_cast<void>(claim_now(store, each));
    error_code error;
    static_cast<void>(store.complete(complete_of(stored, "stored"), error));
    auto const next_transaction = [&] { return server.ask("SELECT pg_snapshot_xmax(pg_current_snapshot())"); };
    auto const before = next_transaction();
    for (int times = 0; times < 20; ++times) {
        CHECK(std::holds_alternative<in_flight>(claim_now(store, claim_of(held.key))));
        CHECK(std::holds_alternative<completed>(claim_now(store, claim_of(stored.key))));
        auto other = claim_of(stored.key);
        other.fingerprint.bytes[0] ^= 1;
        auto const met = claim_now(store, other);
        REQUIRE(std::holds_alternative<mismatch>(met));
        CHECK(std::get<mismatch>(met).recorded == stored.fingerprint);
    }
    CHECK(next_transaction() == before);
    CHECK(server.ask("SELECT count(*) FROM idempo_records WHERE xmax <> 0 AND response IS NOT NULL AND token = ''") ==
          "0");
}

TEST_CASE("postgres: no statement of the store is compiled, however low the database sets the bar") {
    postgres_server server({"jit=on", "jit_above_cost=0"});
    server.ask("CREATE TABLE seen (jit text NOT NULL)");
    server.ask("CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS "
               "$$ BEGIN INSERT INTO public.seen VALUES (current_setting('jit')); RETURN new; END $$");
    server.ask("CREATE TRIGGER see BEFORE INSERT ON idempo_records FOR EACH ROW EXECUTE FUNCTION see()");
    bool const is_pooled = GENERATE(false, true);
    pgbouncer const pooler(server);
    inspectable_postgres store(local_postgres(is_pooled ? pooler.connection() : server.connection()));
    poll_until([&] { return works(store); });
    static_cast<void>(claim_now(store, claim_of(numbered_key(1))));
    CHECK(server.ask("SELECT string_agg(DISTINCT jit, ' ') FROM seen") == (is_pooled ? "on" : "off"));
}

TEST_CASE("postgres: a takeover that is abandoned leaves the attempt's number behind") {
    postgres_server server;
    inspectable_postgres store(local_postgres(server.connection()));
    poll_until([&] { return works(store); });
    auto const key = numbered_key(1);
    static_cast<void>(claim_now(store, claim_of(key, 1ms)));
    auto const take_over = [&] {
        claim_request claim;
        poll_until([&] {
            claim = claim_of(key);
            return std::holds_alternative<granted>(claim_now(store, claim));
        });
        error_code unread;
        auto const info = store.peek(key, unread);
        REQUIRE(info);
        CHECK(info->attempt == 2);
        return claim;
    };
    error_code error;
    auto const second = take_over();
    store.abandon(key, second.fencing_token, error);
    CHECK_FALSE(store.renew(key, second.fencing_token, 1s, error));
    auto without_takeover = claim_of(key);
    without_takeover.take_over = false;
    CHECK(std::holds_alternative<expired>(claim_now(store, without_takeover)));
    take_over();
}

TEST_CASE("postgres: a missing right is told by its code, and costs no connection") {
    postgres_server server;
    server.ask("CREATE ROLE app LOGIN");
    server.ask("GRANT SELECT, INSERT, UPDATE, DELETE ON idempo_records, idempo_records_marks TO app");
    server.ask("GRANT SELECT ON idempo_records_migrations TO app");
    auto options = local_postgres("host=" + server.directory() + " user=app dbname=postgres");
    CHECK(check_postgres(options).is_usable());
    postgres_events events;
    options.observer = events.observer();
    inspectable_postgres store(options);
    poll_until([&] { return works(store); });
    server.ask("REVOKE INSERT ON idempo_records FROM app");
    for (std::size_t number = 0; number < 3; ++number) {
        error_code error;
        static_cast<void>(store.claim(claim_of(numbered_key(number)), error));
        CHECK(error == error::store_unavailable);
    }
    CHECK(events.count("42501") >= 3);
    CHECK(events.count(postgres_problem::lost) == 0);
    auto const check = check_postgres(options);
    CHECK_FALSE(check.is_usable());
    CHECK(check.missing_rights == "INSERT on \"public\".\"idempo_records\"");
    server.ask("GRANT INSERT ON idempo_records TO app");
    server.ask("ALTER TABLE idempo_records SET UNLOGGED");
    CHECK_FALSE(check_postgres(options).is_usable());
}

TEST_CASE("postgres: tables of one new schema may be migrated at once") {
    postgres_server server;
    for (int time = 0; time < 5; ++time) {
        auto migrations = together(4, [&](std::size_t number) {
            return std::async(std::launch::async, [&, number] {
                auto options = local_postgres(server.connection());
                options.schema = "new" + std::to_string(time);
                options.table = "table" + std::to_string(number);
                return migrate(options);
            });
        });
        for (auto& each : migrations) CHECK(each.get() > 0);
    }
}

TEST_CASE("postgres: nobody's functions, operators and types are used but pg_catalog's") {
    postgres_server server;
    // Whatever is found in public is better than what pg_catalog has, and each use of it fails.
    server.ask(R"sql(
CREATE FUNCTION public.trap() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
CREATE FUNCTION public.hashtextextended(text, integer) RETURNS bigint LANGUAGE sql AS 'SELECT trap()::int::bigint';
CREATE FUNCTION public.pg_relation_size(text) RETURNS bigint LANGUAGE sql AS 'SELECT trap()::int::bigint';
CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT now() WHERE trap() $$;
CREATE FUNCTION public.set_config(text, text, boolean) RETURNS text LANGUAGE sql AS $$ SELECT '' WHERE trap() $$;
CREATE FUNCTION public.current_setting(text) RETURNS text LANGUAGE sql AS $$ SELECT '' WHERE trap() $$;
CREATE FUNCTION public.octet_length(bytea) RETURNS integer LANGUAGE sql AS 'SELECT trap()::int';
CREATE FUNCTION public.date_part(text, interval) RETURNS float8 LANGUAGE sql AS 'SELECT trap()::int::float8';
CREATE FUNCTION public.to_regclass(text) RETURNS regclass LANGUAGE sql AS $$ SELECT NULL::regclass WHERE trap() $$;
CREATE FUNCTION public.to_regnamespace(text) RETURNS regnamespace LANGUAGE sql
    AS $$ SELECT NULL::regnamespace WHERE trap() $$;
CREATE FUNCTION public.pg_advisory_xact_lock(bigint) RETURNS void LANGUAGE plpgsql
    AS $$ BEGIN PERFORM public.trap(); END $$;
CREATE FUNCTION public.unnest(anyarray) RETURNS SETOF anyelement LANGUAGE sql AS $$ SELECT $1[1] WHERE trap() $$;
CREATE FUNCTION public.same(bytea, bytea) RETURNS boolean LANGUAGE sql AS 'SELECT trap()';
CREATE FUNCTION public.same(timestamptz, timestamptz) RETURNS boolean LANGUAGE sql AS 'SELECT trap()';
CREATE FUNCTION public.same(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT trap()';
CREATE FUNCTION public.same(integer, integer) RETURNS boolean LANGUAGE sql AS 'SELECT trap()';
CREATE FUNCTION public.moved(timestamptz, interval) RETURNS timestamptz LANGUAGE sql AS 'SELECT $1 WHERE trap()';
CREATE FUNCTION public.moved(bigint, interval) RETURNS interval LANGUAGE sql AS 'SELECT $2 WHERE trap()';
CREATE FUNCTION public.moved(float8, interval) RETURNS interval LANGUAGE sql AS 'SELECT $2 WHERE trap()';
CREATE FUNCTION public.moved(integer, integer) RETURNS integer LANGUAGE sql AS 'SELECT $2 WHERE trap()';
CREATE OPERATOR public.= (LEFTARG = bytea, RIGHTARG = bytea, FUNCTION = public.same);
CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = public.same);
CREATE OPERATOR public.> (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = public.same);
CREATE OPERATOR public.<= (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = public.same);
CREATE OPERATOR public.> (LEFTARG = integer, RIGHTARG = integer, FUNCTION = public.same);
CREATE OPERATOR public.<= (LEFTARG = integer, RIGHTARG = integer, FUNCTION = public.same);
CREATE OPERATOR public.+ (LEFTARG = timestamptz, RIGHTARG = interval, FUNCTION = public.moved);
CREATE OPERATOR public.+ (LEFTARG = integer, RIGHTARG = integer, FUNCTION = public.moved);
CREATE OPERATOR public.* (LEFTARG = bigint, RIGHTARG = interval, FUNCTION = public.moved);
CREATE OPERATOR public.* (LEFTARG = float8, RIGHTARG = interval, FUNCTION = public.moved);
CREATE DOMAIN public.bytea AS text;
CREATE DOMAIN public.timestamptz AS text;
)sql");
    auto options = local_postgres(server.connection() + " options='-c search_path=public,pg_catalog'");
    options.schema = "careful";
    options.sweep_interval = 20ms;
    postgres_events events;
    options.observer = events.observer();
    CHECK(migrate(options) > 0);
    CHECK(check_postgres(options).is_usable());
    inspectable_postgres store(options);
    poll_until([&] { return works(store); });
    auto const claim = claim_of(numbered_key(1));
    error_code error;
    CHECK(std::holds_alternative<granted>(claim_now(store, claim)));
    CHECK(store.renew(claim.key, claim.fencing_token, 30s, error));
    CHECK(std::holds_alternative<done>(store.complete(complete_of(claim, "stored"), error)));
    CHECK(std::holds_alternative<completed>(claim_now(store, claim_of(claim.key))));
    CHECK(store.peek(claim.key, error));
    CHECK(store.forget(claim.key, error));
    CHECK_FALSE(error);
    poll_until([&] { return server.ask("SELECT count(*) FROM careful.idempo_records") == "0"; });
    CHECK(events.count(postgres_problem::statement_failed) == 0);
}
