// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/message_proxy.hpp"
#include "support/pgbouncer.hpp"
#include "support/poll_until.hpp"
#include "support/postgres_scene.hpp"
#include "support/postgres_server.hpp"
#include "support/requests.hpp"
#include "support/transactional_scene.hpp"

#include <idempo/detail/background_thread.hpp>
#include <idempo/options.hpp>
#include <idempo/postgres/migrate.hpp>
#include <idempo/postgres/transaction/transactional.hpp>
#include <idempo/request_head.hpp>

#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>
#include <pqxx/connection>
#include <pqxx/except>
#include <pqxx/result>
#include <pqxx/subtransaction>
#include <pqxx/transaction>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using namespace idempo::tests;
namespace asio = boost::asio;
using rows = idempo::tests::transactional_rows;
using handler = idempo::tests::transactional_handler;

namespace {

postgres_server& shared_server() {
    static postgres_server server;
    static bool const is_ready = [] {
        server.ask("CREATE TABLE effects (name text NOT NULL)");
        return true;
    }();
    static_cast<void>(is_ready);
    return server;
}

/// Over the shared server, unless the test has one of its own.
class scene : public transactional_scene {
public:
    using transactional_scene::transactional_scene;
    explicit scene(handler inner, idempo::options options = single_tenant())
        : transactional_scene(std::move(inner), database_of(shared_server()), std::move(options)) {}
};

std::string effects(std::string const& key, postgres_server const& server = shared_server()) {
    return effects_in(server, key);
}

}  // namespace

TEST_CASE("transactional: a replay is told with the trace of the first request") {
    constexpr std::string_view first_trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    constexpr std::string_view later_trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    auto options = single_tenant();
    options.keep_traceparent = true;
    std::mutex mutex;
    std::vector<std::string> told;
    options.observer = [&](idempo::event const& event) {
        if (event.type != idempo::event_type::replayed) return;
        std::lock_guard const lock(mutex);
        told.push_back(std::string(event.traceparent) + ' ' + std::string(event.first_traceparent));
    };
    scene scene(charge, std::move(options));
    auto request = keyed_request("traced");
    request.set("traceparent", first_trace);
    CHECK(scene.await(request).result_int() == 201);
    request.set("traceparent", later_trace);
    auto const replay = scene.await(request);
    CHECK(is_replay(replay));
    CHECK(replay.count("Idempo-Traceparent") == 0);
    std::lock_guard const lock(mutex);
    CHECK(told == std::vector{std::string(later_trace) + ' ' + std::string(first_trace)});
}

TEST_CASE("transactional: a retry gets the stored response, in both styles") {
    scene scene(charge);
    auto const first = scene.send("retry");
    CHECK(first.result_int() == 201);
    CHECK_FALSE(is_replay(first));
    for (int time = 0; time < 2; ++time) {
        auto const again = time == 0 ? scene.send("retry") : scene.await(keyed_request("retry"));
        CHECK(again.result_int() == 201);
        CHECK(again.body() == first.body());
        CHECK(is_replay(again));
    }
    CHECK(scene.await(keyed_request("retry", "another body")).result_int() == 422);
    CHECK(scene.await(keyed_request("awaited")).result_int() == 201);
    CHECK(scene.runs == 2);
    CHECK(effects("retry") == "1");
    CHECK(effects("awaited") == "1");
}

TEST_CASE("transactional: attempt is 1, and derived_key the same for each attempt") {
    std::vector<std::string> derived;
    scene scene([&](text_request const&, rows&, idempo::execution& execution) {
        CHECK(execution.attempt() == 1);
        derived.push_back(execution.derived_key("email"));
        if (derived.size() == 1) return answer(http::status::internal_server_error);
        return answer(http::status::ok);
    });
    CHECK(scene.send("derived").result_int() == 500);
    CHECK(scene.send("derived").result_int() == 200);
    REQUIRE(derived.size() == 2);
    CHECK(derived[0] == derived[1]);
}

TEST_CASE("transactional: a handler that throws leaves nothing, and a retry runs") {
    bool throws = true;
    scene scene([&](text_request const& request, rows& transaction, idempo::execution& execution) {
        have_effect(transaction, execution);
        if (std::exchange(throws, false)) throw std::runtime_error("after the effect");
        return charge(request, transaction, execution);
    });
    CHECK_THROWS_WITH(scene.send("throws"), "after the effect");
    CHECK(effects("throws") == "0");
    CHECK(scene.send("throws").result_int() == 201);
    CHECK(effects("throws") == "2");
    throws = true;
    CHECK(scene.await(keyed_request("throws-async")).result_int() == 500);
    CHECK(effects("throws-async") == "0");
}

TEST_CASE("transactional: a statement of the handler that fails leaves nothing") {
    scene scene([](text_request const&, rows& transaction, idempo::execution& execution) {
        have_effect(transaction, execution);
        transaction.exec("SELECT 1 / 0");
        return answer(http::status::ok);
    });
    CHECK_THROWS_AS(scene.send("sql-error"), pqxx::sql_error);
    CHECK(effects("sql-error") == "0");
    CHECK(scene.await(keyed_request("sql-error")).result_int() == 500);
    CHECK(scene.runs == 2);
}

TEST_CASE("transactional: a deadlock of the handler's is 503, leaves nothing, and a retry runs") {
    postgres_server server({"deadlock_timeout='10ms'"});
    server.ask("CREATE TABLE effects (name text NOT NULL); CREATE TABLE locked (id int PRIMARY KEY); "
               "INSERT INTO locked VALUES (1), (2)");
    auto const lock = [](auto& transaction, int id) {
        transaction.exec("SELECT 1 FROM locked WHERE id = " + std::to_string(id) + " FOR UPDATE");
    };
    std::atomic<bool> has_locked{true};  // without a rival
    scene scene(
        [&](text_request const& request, rows& transaction, idempo::execution& execution) {
            auto response = charge(request, transaction, execution);
            execution.keep();  // nothing is left to keep
            lock(transaction, 1);
            if (has_locked.exchange(true)) return response;
            poll_until([&] { return server.ask(count_of_lock_waits) == "1"; });
            lock(transaction, 2);
            return response;
        },
        database_of(server));
    // The rival waits first and for longer than a deadlock takes to be found, so that the handler is who finds it.
    auto const deadlocked = [&](text_request request, bool is_async) {
        has_locked = false;
        auto rival = std::async(std::launch::async, [&] {
            pqxx::connection other(server.connection());
            pqxx::work transaction(other);
            transaction.exec("SET LOCAL deadlock_timeout = '60s'");
            lock(transaction, 2);
            poll_until([&] { return has_locked.load(); });
            lock(transaction, 1);
        });
        auto const response = is_async ? scene.await(std::move(request)) : scene.send(std::move(request));
        rival.get();
        return response;
    };
    for (bool const is_async : {false, true}) {
        auto const refused = deadlocked(keyed_request("deadlock"), is_async);
        CHECK(refused.result_int() == 503);
        CHECK(refused[http::field::retry_after] == "1");
        CHECK(deadlocked(unkeyed_request(), is_async).result_int() == 503);
    }
    CHECK(effects("deadlock", server) == "0");
    CHECK(server.ask("SELECT count(*) FROM idempo_records") == "0");
    CHECK(scene.send("deadlock").result_int() == 201);
    CHECK(effects("deadlock", server) == "1");
    CHECK(scene.runs == 5);
}

TEST_CASE("transactional: a serialization failure of the handler's is 503, leaves nothing, and a retry runs") {
    bool fails = true;
    scene scene([&](text_request const& request, rows& transaction, idempo::execution& execution) {
        auto response = charge(request, transaction, execution);
        // As a trigger or a function that finds its rows changed may say; read committed itself says it never.
        if (std::exchange(fails, false)) {
            transaction.exec("DO $$ BEGIN RAISE EXCEPTION 'changed' USING ERRCODE = '40001'; END $$");
        }
        return response;
    });
    CHECK(scene.send("serialization").result_int() == 503);
    CHECK(effects("serialization") == "0");
    CHECK(scene.send("serialization").result_int() == 201);
    CHECK(effects("serialization") == "1");
    CHECK(scene.runs == 2);
}

TEST_CASE("transactional: a released status rolls everything back") {
    auto const released = GENERATE(http::status::internal_server_error, http::status::too_many_requests);
    auto const key = "released-" + std::to_string(static_cast<unsigned>(released));
    scene scene([&](text_request const&, rows& transaction, idempo::execution& execution) {
        have_effect(transaction, execution);
        return answer(released);
    });
    CHECK(scene.send(key).result() == released);
    CHECK(scene.send(key).result() == released);
    CHECK(scene.runs == 2);
    CHECK(effects(key) == "0");
}

TEST_CASE("transactional: a stored status that does not commit keeps its response, and no rows") {
    scene scene([](text_request const&, rows& transaction, idempo::execution& execution) {
        have_effect(transaction, execution);
        return answer(http::status::payment_required, "no money");
    });
    CHECK(scene.send("refused").result_int() == 402);
    auto const again = scene.send("refused");
    CHECK(is_replay(again));
    CHECK(again.body() == "no money");
    CHECK(scene.runs == 1);
    CHECK(effects("refused") == "0");
}

TEST_CASE("transactional: execution and commit_if overrule the status") {
    scene keeping([](text_request const&, rows& transaction, idempo::execution& execution) {
        have_effect(transaction, execution);
        execution.keep();
        return answer(http::status::internal_server_error);
    });
    CHECK(keeping.send("kept").result_int() == 500);
    CHECK(is_replay(keeping.send("kept")));
    CHECK(effects("kept") == "1");

    scene releasing([](text_request const&, rows& transaction, idempo::execution& execution) {
        have_effect(transaction, execution);
        execution.release();
        return answer(http::status::ok);
    });
    CHECK(releasing.send("unkept").result_int() == 200);
    CHECK(releasing.send("unkept").result_int() == 200);
    CHECK(releasing.runs == 2);
    CHECK(effects("unkept") == "0");

    auto database = database_of(shared_server());
    database.commit_if = [](unsigned status) { return status == 402; };
    scene chosen(
        [](text_request const&, rows& transaction, idempo::execution& execution) {
            have_effect(transaction, execution);
            return answer(http::status::payment_required);
        },
        database);
    CHECK(chosen.send("chosen").result_int() == 402);
    CHECK(effects("chosen") == "1");
}

TEST_CASE("transactional: requests without a key have a transaction, too") {
    bool fails = false;
    scene scene([&](text_request const&, rows& transaction, idempo::execution& execution) {
        CHECK_FALSE(execution.keyed());
        transaction.exec("INSERT INTO effects VALUES ('unkeyed')");
        return answer(fails ? http::status::bad_request : http::status::ok);
    });
    CHECK(scene.send(unkeyed_request()).result_int() == 200);
    CHECK(scene.await(unkeyed_request()).result_int() == 200);
    fails = true;
    CHECK(scene.send(unkeyed_request()).result_int() == 400);
    CHECK(effects("unkeyed") == "2");
}

TEST_CASE("transactional: an option that throws before the claim lets nothing happen") {
    auto options = single_tenant();
    SECTION("applies") {
        options.applies = [](idempo::request_head const&) -> bool { throw std::runtime_error("no"); };
    }
    SECTION("the scope") {
        options.scope = idempo::scope::principal(
            [](idempo::request_head const&) -> std::optional<std::string> { throw std::runtime_error("no"); });
    }
    scene scene(charge, options);
    CHECK_THROWS_AS(scene.send("option-throws"), std::runtime_error);
    CHECK(scene.await(keyed_request("option-throws")).result_int() == 500);
    CHECK(scene.runs == 0);
    CHECK(effects("option-throws") == "0");
}

TEST_CASE("transactional: duplicates in this process are answered before a connection is taken") {
    std::promise<void> gate;
    auto const opened = gate.get_future().share();
    auto database = database_of(shared_server());
    database.connections = 1;
    std::atomic<bool> is_inside{false};
    scene scene(
        [&](text_request const& request, rows& transaction, idempo::execution& execution) {
            is_inside = true;
            opened.wait();
            return charge(request, transaction, execution);
        },
        database);
    auto first = scene.send_async(keyed_request("in-process"));
    poll_until([&] { return is_inside.load(); });
    // The only connection and the only thread are taken, and still:
    for (int time = 0; time < 20; ++time) {
        auto const duplicate = scene.await(keyed_request("in-process"));
        CHECK(duplicate.result_int() == 409);
        CHECK(duplicate[http::field::retry_after] == "1");
        CHECK(scene.send("in-process").result_int() == 409);
        CHECK(scene.send(keyed_request("in-process", "other")).result_int() == 422);
    }
    // Another key waits for a connection, but not for ever.
    CHECK(scene.send("no-connection").result_int() == 503);
    gate.set_value();
    CHECK(read(first.get()).result_int() == 201);
    CHECK(is_replay(scene.send("in-process")));
    CHECK(scene.runs == 1);
}

TEST_CASE("transactional: too many waiting requests are refused at once") {
    std::promise<void> gate;
    auto const opened = gate.get_future().share();
    auto database = database_of(shared_server());
    database.connections = 1;
    database.database.max_pending = 2;
    std::atomic<bool> is_inside{false};
    scene scene(
        [&](text_request const& request, rows& transaction, idempo::execution& execution) {
            is_inside = true;
            opened.wait();
            return charge(request, transaction, execution);
        },
        database);
    std::vector<std::future<http::message_generator>> sent;
    sent.push_back(scene.send_async(keyed_request("pending-0")));
    poll_until([&] { return is_inside.load(); });
    for (int more = 1; more <= 5; ++more) {
        sent.push_back(scene.send_async(keyed_request("pending-" + std::to_string(more))));
    }
    for (int refused = 3; refused <= 5; ++refused) {
        CHECK(read(sent[static_cast<std::size_t>(refused)].get()).result_int() == 503);
    }
    gate.set_value();
    for (int taken = 0; taken <= 2; ++taken) {
        CHECK(read(sent[static_cast<std::size_t>(taken)].get()).result_int() == 201);
    }
    CHECK(scene.runs == 3);
}

TEST_CASE("transactional: of two processes' requests one runs, whatever the server's default isolation") {
    auto const* const isolation = GENERATE("read committed", "repeatable read", "serializable");
    shared_server().ask(std::string("ALTER DATABASE postgres SET default_transaction_isolation = '") + isolation + "'");
    // Two pools stand for two processes: they share nothing but the database.
    scene one(charge);
    scene other(charge);
    int replays = 0;
    int conflicts = 0;
    constexpr int keys = 60;
    for (int number = 0; number < keys; ++number) {
        auto const key = "process-" + std::string(1, isolation[0]) + isolation[2] + std::to_string(number);
        std::vector<std::future<http::message_generator>> sent;
        for (int request = 0; request < 3; ++request) {
            sent.push_back(one.send_async(keyed_request(key)));
            sent.push_back(other.send_async(keyed_request(key)));
        }
        int firsts = 0;
        for (auto& each : sent) {
            auto const response = read(each.get());
            if (response.result_int() == 409) {
                ++conflicts;
            } else if (is_replay(response)) {
                ++replays;
            } else if (response.result_int() == 201) {
                ++firsts;
            }
        }
        CHECK(firsts == 1);
        CHECK(effects(key) == "1");
    }
    CHECK(one.runs + other.runs == keys);
    CHECK(one.runs > 0);
    CHECK(other.runs > 0);
    CHECK(conflicts > 0);
    CHECK(conflicts + replays == keys * 5);
    shared_server().ask("ALTER DATABASE postgres RESET default_transaction_isolation");
}

TEST_CASE("transactional: through pgbouncer, which pools transactions") {
    pgbouncer const pooler(shared_server(), 2);
    auto database = database_of(shared_server());
    database.database.connection = pooler.connection();
    scene one(charge, database);
    scene other(charge, database);
    constexpr int keys = 30;
    for (int number = 0; number < keys; ++number) {
        auto const key = "pooled-" + std::to_string(number);
        std::vector<std::future<http::message_generator>> sent;
        for (int request = 0; request < 3; ++request) {
            sent.push_back(one.send_async(keyed_request(key)));
            sent.push_back(other.send_async(keyed_request(key)));
        }
        for (auto& each : sent) {
            auto const status = read(each.get()).result_int();
            CHECK((status == 201 || status == 409));
        }
        CHECK(is_replay(one.send(key)));
        CHECK(effects(key) == "1");
    }
    CHECK(one.runs + other.runs == keys);
}

TEST_CASE("transactional: a request that waits gets the first one's response") {
    std::array<std::atomic<bool>, 3> waits{};
    auto const telling = [](std::atomic<bool>& began) {
        auto options = single_tenant();
        options.wait = 30s;
        options.observer = [&began](idempo::event const& event) {
            if (event.type == idempo::event_type::step_began && event.step == idempo::event_step::wait) began = true;
        };
        return options;
    };
    std::promise<void> gate;
    auto const opened = gate.get_future().share();
    std::atomic<bool> is_inside{false};
    auto const charge_later = [&](text_request const& request, rows& transaction, idempo::execution& execution) {
        is_inside = true;
        opened.wait();
        return charge(request, transaction, execution);
    };
    scene one(charge_later, telling(waits[0]));
    scene other(charge_later, telling(waits[1]));
    scene blocking(charge_later, telling(waits[2]));
    // Threads that end before the process does: they draw random bytes, and OpenSSL keeps a generator for each.
    boost::asio::thread_pool callers(3);
    auto first = one.send_async(keyed_request("waits"), callers.get_executor());
    poll_until([&] { return is_inside.load(); });
    auto same_process = one.send_async(keyed_request("waits"), callers.get_executor());
    auto other_process = other.send_async(keyed_request("waits"), callers.get_executor());
    auto blocked_thread = std::async(std::launch::async, [&] { return blocking.send("waits"); });
    for (auto const& each : waits) poll_until([&] { return each.load(); });
    gate.set_value();
    CHECK(read(first.get()).result_int() == 201);
    CHECK(is_replay(read(same_process.get())));
    CHECK(is_replay(read(other_process.get())));
    CHECK(is_replay(blocked_thread.get()));
    CHECK(one.runs + other.runs + blocking.runs == 1);
}

TEST_CASE("transactional: a handler that ends the transaction is found out, however it goes on") {
    auto const* const end = GENERATE("COMMIT", "ROLLBACK", "COMMIT; BEGIN", "ROLLBACK; BEGIN", "COMMIT AND CHAIN");
    auto const goes_on = GENERATE("answers", "throws", "fails", "refuses");
    CAPTURE(end, goes_on);
    static int number = 0;
    auto const key = "ends-" + std::to_string(++number);
    postgres_events events;
    auto database = database_of(shared_server());
    database.database.observer = events.observer();
    bool ends = true;
    scene scene(
        [&](text_request const&, rows& transaction, idempo::execution& execution) {
            have_effect(transaction, execution);
            if (std::exchange(ends, false)) transaction.exec(end);
            if (goes_on == std::string("throws")) throw std::runtime_error("after the end");
            if (goes_on == std::string("fails")) return answer(http::status::internal_server_error);
            if (goes_on == std::string("refuses")) return answer(http::status::payment_required);
            return answer(http::status::created);
        },
        database);
    CHECK(scene.await(keyed_request(key)).result_int() == 500);
    CHECK(events.count(idempo::postgres_problem::transaction_ended) == 1);
    // What it has committed cannot be undone; a retry runs, on a connection of which nobody has ended anything.
    auto const committed = std::string(end).starts_with("COMMIT") ? 1 : 0;
    CHECK(effects(key) == std::to_string(committed));
    auto const again = scene.await(keyed_request(key)).result_int();
    CHECK(again == (goes_on == std::string("answers") ? 201 : goes_on == std::string("refuses") ? 402 : 500));
    CHECK(scene.runs == 2);
    CHECK(effects(key) == std::to_string(committed + (goes_on == std::string("answers") ? 1 : 0)));
    CHECK(events.count(idempo::postgres_problem::transaction_ended) == 1);
}

TEST_CASE("transactional: what COMMIT refuses is the handler's fault, and the connection stays") {
    shared_server().ask("CREATE TABLE IF NOT EXISTS deferred (id int PRIMARY KEY, "
                        "parent int REFERENCES deferred DEFERRABLE INITIALLY DEFERRED)");
    postgres_events events;
    auto database = database_of(shared_server());
    database.database.observer = events.observer();
    auto options = single_tenant();
    auto const policy = GENERATE(idempo::on_throw::release, idempo::on_throw::store_500);
    options.on_throw = policy;
    std::vector<std::string> processes;
    scene scene(
        [&](text_request const&, rows& transaction, idempo::execution& execution) {
            have_effect(transaction, execution);
            processes.push_back(transaction.exec("SELECT pg_backend_pid()")[0][0].as<std::string>());
            transaction.exec("INSERT INTO deferred VALUES (1, 2)");
            return answer(http::status::ok);
        },
        database, options);
    auto const key = policy == idempo::on_throw::release ? "deferred-released" : "deferred-stored";
    CHECK_THROWS_AS(scene.send(key), idempo::transaction_refused);
    auto const again = scene.await(keyed_request(key));
    CHECK(again.result_int() == 500);
    CHECK(again.count(http::field::retry_after) == 0);
    CHECK(is_replay(again) == (policy == idempo::on_throw::store_500));
    CHECK(scene.await(unkeyed_request()).result_int() == 500);
    CHECK(effects(key) == "0");
    for (auto const& each : processes) CHECK(each == processes.front());
    CHECK(events.count("23503") == static_cast<int>(processes.size()));
    CHECK(events.count(idempo::postgres_problem::lost) == 0);
}

TEST_CASE("transactional: a handler that commits its subtransaction, or swallows an error, costs no connection") {
    postgres_events events;
    auto database = database_of(shared_server());
    database.database.observer = events.observer();
    scene scene(
        [](text_request const&, rows& transaction, idempo::execution& execution) {
            have_effect(transaction, execution);
            if (execution.key() == "commits") transaction.commit();
            if (execution.key() == "commits-and-refuses") {
                transaction.commit();
                return answer(http::status::unprocessable_entity);
            }
            if (execution.key() == "swallows") {
                try {
                    transaction.exec("SELECT 1 / 0");
                } catch (pqxx::sql_error const&) {
                }
            }
            return answer(http::status::created);
        },
        database);
    CHECK(scene.send("commits").result_int() == 201);
    CHECK(effects("commits") == "1");
    CHECK(scene.send("commits-and-refuses").result_int() == 422);
    CHECK(effects("commits-and-refuses") == "0");
    CHECK(scene.await(keyed_request("swallows")).result_int() == 500);
    CHECK(effects("swallows") == "0");
    CHECK(events.count(idempo::postgres_problem::none) == 1);
    CHECK(events.count(idempo::postgres_problem::lost) == 0);
}

TEST_CASE("transactional: a success that the client sees is committed, and has a record") {
    auto options = single_tenant();
    auto const status = GENERATE(http::status::created, http::status::see_other, http::status::ok);
    std::string body = "short";
    SECTION("store_if says no") {
        options.store_if = [](unsigned) { return false; };
    }
    SECTION("guard mode, which keeps only what is between 200 and 299") {
        options.on_duplicate = idempo::on_duplicate::reject;
    }
    SECTION("the response is too long") {
        options.max_response_body = 100;
        body.assign(5000, 'x');
    }
    static int number = 0;
    auto const key = "success-" + std::to_string(++number);
    scene scene(
        [&](text_request const&, rows& transaction, idempo::execution& execution) {
            have_effect(transaction, execution);
            return answer(status, body);
        },
        options);
    auto const first = scene.send(key);
    CHECK(first.result() == status);
    CHECK(first.body() == body);
    CHECK(effects(key) == "1");
    CHECK(scene.send(key).result_int() == 409);
    CHECK(scene.await(keyed_request(key)).result_int() == 409);
    CHECK(effects(key) == "1");
    CHECK(scene.runs == 1);
}

TEST_CASE("transactional: what a handler leaves in the session is gone before the next request") {
    shared_server().ask("CREATE SCHEMA IF NOT EXISTS tenant_a");
    auto database = database_of(shared_server());
    database.connections = 1;
    bool const is_pooled = GENERATE(false, true);
    pgbouncer const pooler(shared_server(), 1);
    if (is_pooled) database.database.connection = pooler.connection();
    auto const how = GENERATE(std::string("answers"), "refuses", "throws");
    static int number = 0;
    auto const key = "session-" + std::to_string(++number);
    std::string seen;
    scene scene(
        [&](text_request const&, rows& transaction, idempo::execution&) {
            seen = transaction
                       .exec("SELECT concat_ws(' ', current_setting('search_path'), "
                             "coalesce(current_setting('app.tenant', true), ''), to_regclass('pg_temp.scratch')::text, "
                             "current_user, (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND "
                             "pid = pg_backend_pid() AND classid = 0 AND objid = 5), "
                             "current_setting('default_transaction_read_only'))")[0][0]
                       .as<std::string>();
            transaction.exec("SET search_path TO tenant_a; SET app.tenant = 'a'; CREATE TEMP TABLE scratch (id int); "
                             "SELECT pg_advisory_lock(5); SET default_transaction_read_only = on");
            if (how == "throws") throw std::runtime_error("in the middle");
            return answer(how == "answers" ? http::status::ok : http::status::conflict);
        },
        database);
    for (int time = 0; time < 3; ++time) {
        auto const status = scene.await(keyed_request(key + "-" + std::to_string(time))).result_int();
        CHECK(status == (how == "answers" ? 200 : how == "refuses" ? 409 : 500));
        CHECK(seen == "\"$user\", public  idempo 0 off");
        seen = "nothing";
        scene.await(unkeyed_request());
        CHECK(seen == "\"$user\", public  idempo 0 off");
    }
}

TEST_CASE("transactional: handlers that make the session forget our statements cost one request at most") {
    postgres_events events;
    auto database = database_of(shared_server());
    database.connections = 1;
    database.database.observer = events.observer();
    scene scene(
        [](text_request const& request, rows& transaction, idempo::execution& execution) {
            transaction.exec("DEALLOCATE ALL");
            return charge(request, transaction, execution);
        },
        database);
    std::map<unsigned, int> answers;
    for (int number = 0; number < 10; ++number) {
        auto const key = "forgets-" + std::to_string(number);
        auto const status = scene.send(key).result_int();
        ++answers[status];
        if (status == 503) {
            CHECK(effects(key) == "0");
            CHECK(scene.send(key).result_int() == 201);
        }
        CHECK(is_replay(scene.send(key)));
        CHECK(effects(key) == "1");
    }
    CHECK(answers[503] <= 1);
    CHECK(answers[201] + answers[503] == 10);
    CHECK(events.count(idempo::postgres_problem::lost) == 0);
}

TEST_CASE("transactional: expired records are deleted") {
    postgres_server server;
    server.ask("CREATE TABLE effects (name text NOT NULL)");
    auto database = database_of(server);
    database.database.sweep_interval = 50ms;
    auto options = single_tenant();
    options.retention = 100ms;
    scene scene(charge, database, options);
    for (int number = 0; number < 20; ++number) CHECK(scene.send("due-" + std::to_string(number)).result_int() == 201);
    poll_until([&] { return server.ask("SELECT count(*) FROM idempo_records") == "0"; });
}

TEST_CASE("transactional: services with tables of their own do not block each other") {
    auto other_database = database_of(shared_server());
    other_database.database.table = "other_records";
    idempo::migrate(other_database.database);
    std::promise<void> gate;
    auto const opened = gate.get_future().share();
    scene one([&](text_request const& request, rows& transaction, idempo::execution& execution) {
        opened.wait();
        return charge(request, transaction, execution);
    });
    scene other(charge, other_database);
    auto first = one.send_async(keyed_request("two-tables"));
    poll_until([&] { return one.runs == 1; });
    CHECK(other.send("two-tables").result_int() == 201);
    gate.set_value();
    CHECK(read(first.get()).result_int() == 201);
}

TEST_CASE("transactional: the handler has the isolation that was asked for, whatever the default is") {
    auto const [isolation, name] = GENERATE(table<idempo::transaction_isolation, std::string>({
        {idempo::transaction_isolation::read_committed, "read committed"},
        {idempo::transaction_isolation::repeatable_read, "repeatable read"},
        {idempo::transaction_isolation::serializable, "serializable"},
    }));
    auto database = database_of(shared_server());
    database.isolation = isolation;
    auto const charge_checked = [name = name](text_request const& request, rows& transaction,
                                              idempo::execution& execution) {
        CHECK(transaction.exec("SHOW transaction_isolation")[0][0].as<std::string>() == name);
        return charge(request, transaction, execution);
    };
    scene one(charge_checked, database);
    scene other(charge_checked, database);
    constexpr int keys = 20;
    for (int number = 0; number < keys; ++number) {
        auto const key = "isolated-" + std::string(1, name[0]) + name[2] + std::to_string(number);
        std::vector<std::future<http::message_generator>> sent;
        for (int request = 0; request < 3; ++request) {
            sent.push_back(one.send_async(keyed_request(key)));
            sent.push_back(other.send_async(keyed_request(key)));
        }
        // Different keys, whose records share a page of the index, are no reason to refuse a transaction.
        auto beside = one.send_async(keyed_request(key + "-beside"));
        for (auto& each : sent) {
            auto const status = read(each.get()).result_int();
            CHECK((status == 201 || status == 409));
        }
        CHECK(read(beside.get()).result_int() == 201);
        CHECK(is_replay(other.send(key)));
        CHECK(effects(key) == "1");
    }
}

TEST_CASE("transactional: synchronous_commit is only raised") {
    auto const [chosen, used] = GENERATE(table<std::string, std::string>({
        {"off", "on"},
        {"local", "on"},
        {"on", "on"},
        {"remote_apply", "remote_apply"},
    }));
    shared_server().ask("ALTER DATABASE postgres SET synchronous_commit = '" + chosen + "'");
    std::string seen;
    scene scene([&](text_request const&, rows& transaction, idempo::execution&) {
        seen = transaction.exec("SHOW synchronous_commit")[0][0].as<std::string>();
        return answer(http::status::ok);
    });
    CHECK(scene.send("raised-" + chosen).result_int() == 200);
    CHECK(seen == used);
    shared_server().ask("ALTER DATABASE postgres RESET synchronous_commit");
}

TEST_CASE("transactional: without a key, a COMMIT in doubt is no invitation to try again") {
    postgres_server server({"synchronous_standby_names = 'nobody'", "synchronous_commit = local"});
    server.ask("CREATE TABLE effects (name text NOT NULL)");
    auto database = database_of(server);
    database.database.operation_timeout = 300ms;
    scene scene(
        [](text_request const&, rows& transaction, idempo::execution&) {
            transaction.exec("INSERT INTO effects VALUES ('unkeyed')");
            return answer(http::status::created);
        },
        database);
    auto const response = scene.await(unkeyed_request());
    CHECK(response.result_int() == 500);
    CHECK(response.count(http::field::retry_after) == 0);
    server.ask("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    CHECK(effects("unkeyed", server) == "1");
}

TEST_CASE("transactional: idle connections whose server processes have ended are replaced") {
    scene scene(charge);
    CHECK(scene.send("before").result_int() == 201);
    shared_server().ask("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                        "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'");
    CHECK(scene.send("after").result_int() == 201);
    CHECK(is_replay(scene.send("before")));
}

TEST_CASE("transactional: a server process that ends under the handler leaves nothing") {
    bool ends = true;
    scene scene([&](text_request const& request, rows& transaction, idempo::execution& execution) {
        have_effect(transaction, execution);
        if (std::exchange(ends, false)) {
            auto const pid = transaction.exec("SELECT pg_backend_pid()")[0][0].as<std::string>();
            shared_server().ask("SELECT pg_terminate_backend(" + pid + ", 10000)");
        }
        return charge(request, transaction, execution);
    });
    CHECK(scene.await(keyed_request("terminated")).result_int() == 500);
    CHECK(effects("terminated") == "0");
    CHECK(scene.await(keyed_request("terminated")).result_int() == 201);
    CHECK(effects("terminated") == "2");
}

TEST_CASE("transactional: a COMMIT in doubt is looked up") {
    // No such standby exists, so that COMMIT waits for it; it has happened by then.
    postgres_server server({"synchronous_standby_names = 'nobody'", "synchronous_commit = local"});
    server.ask("CREATE TABLE effects (name text NOT NULL)");
    auto database = database_of(server);
    database.database.operation_timeout = 5s;
    scene scene(charge, database);
    auto sent = scene.send_async(keyed_request("in-doubt"));
    poll_until([&] { return server.ask("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == "1"; });
    server.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    CHECK(read(sent.get()).result_int() == 201);
    CHECK(effects("in-doubt", server) == "1");
    CHECK(is_replay(scene.send("in-doubt")));
    CHECK(scene.runs == 1);
}

TEST_CASE("transactional: a COMMIT whose end cannot be told is 503, and a retry is told") {
    postgres_server server({"synchronous_standby_names = 'nobody'", "synchronous_commit = local"});
    server.ask("CREATE TABLE effects (name text NOT NULL)");
    auto database = database_of(server);
    database.database.operation_timeout = 300ms;
    scene scene(charge, database);
    CHECK(scene.send("untold").result_int() == 503);
    CHECK(scene.send("untold").result_int() == 409);  // the transaction still waits for the standby
    server.ask("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    CHECK(is_replay(scene.send("untold")));
    CHECK(scene.runs == 1);
    CHECK(effects("untold", server) == "1");
}

TEST_CASE("transactional: a server that does not answer, is killed, or is read-only: 503, no execution, and back") {
    postgres_server server;
    server.ask("CREATE TABLE effects (name text NOT NULL)");
    auto database = database_of(server);
    database.database.operation_timeout = 500ms;
    database.database.connect_timeout = 500ms;
    scene scene(charge, database);
    CHECK(scene.send("fault-0").result_int() == 201);

    server.send_signal(SIGSTOP);
    CHECK(scene.send("fault-1").result_int() == 503);
    CHECK(scene.await(keyed_request("fault-1")).result_int() == 503);
    server.send_signal(SIGCONT);
    poll_until([&] { return scene.send("fault-1").result_int() == 201; });

    server.kill();
    CHECK(scene.send("fault-2").result_int() == 503);
    server.start();
    poll_until([&] { return scene.send("fault-2").result_int() == 201; });

    server.ask("ALTER SYSTEM SET default_transaction_read_only = on");
    server.ask("SELECT pg_reload_conf()");
    poll_until([&] { return server.ask("SHOW default_transaction_read_only") == "on"; });
    poll_until([&] { return scene.send("fault-3").result_int() == 503; });
    server.ask("ALTER SYSTEM RESET default_transaction_read_only");
    server.ask("SELECT pg_reload_conf()");
    poll_until([&] { return scene.send("fault-3").result_int() == 201; });

    CHECK(scene.runs == 4);
    for (auto const* const key : {"fault-0", "fault-1", "fault-2", "fault-3"}) CHECK(effects(key, server) == "1");
}

TEST_CASE("transactional: a handler that takes too long is ended") {
    auto database = database_of(shared_server());
    database.handler_timeout = 200ms;
    scene scene(
        [](text_request const&, rows& transaction, idempo::execution& execution) {
            have_effect(transaction, execution);
            transaction.exec("SELECT pg_sleep(60)");
            return answer(http::status::ok);
        },
        database);
    CHECK(scene.await(keyed_request("sleeps")).result_int() == 500);
    CHECK(effects("sleeps") == "0");
}

TEST_CASE("transactional: a store's record in flight is respected, and one of unknown outcome not overrun") {
    scene scene(charge);
    CHECK(scene.send("mixed").result_int() == 201);
    shared_server().ask("UPDATE idempo_records SET response = NULL, lease_until = clock_timestamp() + '1 hour' "
                        "WHERE key = (SELECT key FROM idempo_records ORDER BY expires_at DESC LIMIT 1)");
    CHECK(scene.send("mixed").result_int() == 409);
    shared_server().ask("UPDATE idempo_records SET lease_until = clock_timestamp() WHERE response IS NULL");
    CHECK(scene.send("mixed").result_int() == 409);
    shared_server().ask("UPDATE idempo_records SET expires_at = clock_timestamp() WHERE response IS NULL");
    CHECK(scene.send("mixed").result_int() == 201);
    CHECK(scene.runs == 2);
}

TEST_CASE("transactional: a used key gets 410 when its record has expired, swept or not") {
    auto options = single_tenant();
    options.remember_expired = 1h;
    scene scene(charge, options);
    auto const key = "used-" + idempo::to_hex(idempo::make_fencing_token().view());
    CHECK(scene.send(key).result_int() == 201);
    CHECK(is_replay(scene.send(key)));
    auto const record =
        "key = (SELECT key FROM idempo_records WHERE remember IS NOT NULL ORDER BY expires_at DESC LIMIT 1)";
    shared_server().ask(std::string("UPDATE idempo_records SET expires_at = clock_timestamp() WHERE ") + record);
    CHECK(scene.send(key).result_int() == 410);
    CHECK(scene.await(keyed_request(key, "another body")).result_int() == 410);
    shared_server().ask("WITH swept AS (DELETE FROM idempo_records WHERE remember IS NOT NULL RETURNING key) "
                        "INSERT INTO idempo_records_marks (until, key_prefix) "
                        "SELECT clock_timestamp() + '1 hour', substr(key, 1, 16) FROM swept");
    CHECK(scene.send(key).result_int() == 410);
    CHECK(scene.runs == 1);
    shared_server().ask("UPDATE idempo_records_marks SET until = clock_timestamp()");
    CHECK(scene.send(key).result_int() == 201);
    CHECK(is_replay(scene.send(key)));
    CHECK(effects(key) == "2");
}

TEST_CASE("transactional: a request that is rolled back leaves no mark of its key") {
    auto options = single_tenant();
    options.remember_expired = 1h;
    int runs = 0;
    scene scene(
        [&](text_request const&, rows& transaction, idempo::execution& execution) {
            have_effect(transaction, execution);
            return answer(++runs == 1 ? http::status::service_unavailable : http::status::created);
        },
        options);
    auto const key = "undone-" + idempo::to_hex(idempo::make_fencing_token().view());
    CHECK(scene.send(key).result_int() == 503);
    CHECK(scene.send(key).result_int() == 201);
    CHECK(effects(key) == "1");
}

TEST_CASE("transactional: options that speak of leases are refused") {
    idempo::detail::background_thread thread;
    auto const make = [&](idempo::options options) {
        return idempo::transactional(thread.get_executor(), database_of(shared_server()), std::move(options));
    };
    auto options = single_tenant();
    options.on_throw = idempo::on_throw::hold;
    CHECK_THROWS_AS(make(options), std::invalid_argument);
    options = single_tenant();
    options.on_takeover = idempo::on_takeover::hold;
    CHECK_THROWS_AS(make(options), std::invalid_argument);
    options = single_tenant();
    options.unstorable = idempo::unstorable::release;
    CHECK_THROWS_AS(make(options), std::invalid_argument);
    options = single_tenant();
    options.on_store_error = idempo::on_store_error::run_unprotected;
    CHECK_THROWS_AS(make(options), std::invalid_argument);
    auto database = database_of(shared_server());
    database.connections = 0;
    CHECK_THROWS_AS(idempo::transactional(thread.get_executor(), database), std::invalid_argument);
}

TEST_CASE("transactional: a handler that outlives its transaction has no effect, and another one goes on") {
    auto database = database_of(shared_server());
    database.handler_timeout = 300ms;
    database.database.operation_timeout = 10s;
    std::promise<void> gate;
    auto const opened = gate.get_future().share();
    scene stopped(
        [&](text_request const& request, rows& transaction, idempo::execution& execution) {
            auto response = charge(request, transaction, execution);
            opened.wait();
            return response;
        },
        database);
    scene other(charge);
    auto late = stopped.send_async(keyed_request("stops"));
    poll_until([&] { return stopped.runs == 1; });
    int conflicts = 0;
    poll_until([&] {
        auto const status = other.send("stops").result_int();
        conflicts += status == 409;
        return status == 201;
    });
    gate.set_value();
    CHECK(is_replay(read(late.get())));  // of the other's response
    CHECK(is_replay(stopped.send("stops")));
    CHECK(conflicts > 0);
    CHECK(effects("stops") == "1");
}

TEST_CASE("transactional: the end of the executor's context ends what a stopped server keeps waiting") {
    postgres_server server;
    server.ask("CREATE TABLE effects (name text NOT NULL)");
    message_proxy const network(server);
    auto database = database_of(server);
    database.database.connection = network.connection();
    database.database.operation_timeout = 30min;
    auto ended = std::make_unique<scene>(charge, database);
    CHECK(ended->send("first").result_int() == 201);
    server.send_signal(SIGSTOP);
    auto const before = network.messages('B');
    auto sent = ended->send_async(keyed_request("stuck"));
    poll_until([&] { return network.messages('B') > before; });
    ended.reset();                                // or the test takes half an hour
    CHECK(read(sent.get()).result_int() == 503);  // on the system's executor, where use_future completes
    server.send_signal(SIGCONT);
    CHECK(effects("stuck", server) == "0");
}
