// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/postgres_session.hpp"

#include <idempo/postgres/connection/pipeline.hpp>
#include <idempo/postgres/connection/statement_io.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

using namespace idempo::tests;
using namespace idempo::postgres;
using namespace std::chrono_literals;

namespace {

/// A connection with a pipeline of its own.
struct session : postgres_session {
    explicit session(bool keeps_names = true) : line(connection.get(), keeps_names) {}

    script_outcome run(message const& all) { return line.run(all, soon()); }

    pipeline line;
};

statement_text const one{"one", "SELECT 1"};
statement_text const two{"two", "SELECT 2"};
statement_text const fails{"fails", "SELECT 1 / pg_backend_pid() / 0"};
statement_text const doubled{"doubled", "SELECT 2 * $1::int8"};
statement_text const planned{"planned", "SELECT 3", true};

statement_call twice(std::int64_t number) {
    statement_call call{&doubled};
    call.parameters.add(number);
    return call;
}

}  // namespace

TEST_CASE("postgres pipeline: one message has the results of all its statements, with names and without") {
    session session(GENERATE(true, false));
    for (int time = 0; time < 3; ++time) {
        auto const outcome = session.run({{&one}, twice(21), {&two}});
        CHECK(outcome.has_succeeded());
        REQUIRE(outcome.results.size() == 3);
        CHECK(outcome.results[0].number(0, 0) == 1);
        CHECK(outcome.results[1].number(0, 0) == 42);
        CHECK(outcome.results[2].number(0, 0) == 2);
    }
    auto const known = session.ask("SELECT count(*) FROM pg_prepared_statements");
    CHECK(known == (session.line.keeps_names() ? "3" : "0"));
}

TEST_CASE("postgres pipeline: nothing is carried out behind a statement that fails, and its names are not believed") {
    session session(GENERATE(true, false));
    auto const failed = session.run({{&one}, {&fails}, {&two}});
    CHECK(failed.sqlstate == "22012");
    CHECK(failed.results.size() == 1);
    CHECK(session.run({{&two}, {&one}}).results.size() == 2);
    CHECK(session.run({{&fails}}).sqlstate == "22012");
}

TEST_CASE("postgres pipeline: the answer that is owed may be a failure") {
    session session;
    session.line.post({{&one}, {&fails}}, soon());
    CHECK(session.line.owes_answer());
    try {
        session.line.settle(soon());
        FAIL("it has failed");
    } catch (statement_failure const& failed) {
        CHECK(failed.sqlstate == "22012");
        CHECK_FALSE(failed.connection_lost);
    }
    CHECK_FALSE(session.line.owes_answer());
    session.line.post({{&two}}, soon());
    session.line.settle(soon());
    session.line.settle(soon());  // nothing is owed
    CHECK(session.run({{&two}}).has_succeeded());
}

TEST_CASE("postgres pipeline: a session that forgets names is used without") {
    session session;
    CHECK(session.run({{&one}}).has_succeeded());
    session.ask("DEALLOCATE ALL");
    auto const failed = session.run({{&one}});
    CHECK(failed.sqlstate == "26000");
    CHECK_FALSE(session.line.keeps_names());
    CHECK(session.run({{&one}, {&two}}).results.size() == 2);
    CHECK(session.ask("SELECT count(*) FROM pg_prepared_statements") == "0");
}

TEST_CASE("postgres pipeline: a plan is made anew from time to time") {
    session session;
    auto const prepared_at = [&](std::string const& name) {
        return session.ask("SELECT prepare_time FROM pg_prepared_statements WHERE name = '" + name + "'");
    };
    CHECK(session.run({{&planned}, {&one}}).has_succeeded());
    auto const first = prepared_at("planned");
    auto const other = prepared_at("one");
    for (unsigned use = 0; use < pipeline::uses_of_a_plan; ++use)
        CHECK(session.run({{&planned}, {&one}}).has_succeeded());
    CHECK(prepared_at("planned") == first);
    SECTION("in a message that succeeds") { CHECK(session.run({{&planned}, {&one}}).has_succeeded()); }
    SECTION("after a message that failed before it") {
        CHECK_FALSE(session.run({{&fails}, {&planned}}).has_succeeded());
        CHECK(prepared_at("planned") == first);
        CHECK(session.run({{&planned}, {&one}}).has_succeeded());
    }
    CHECK(prepared_at("planned") != first);
    CHECK(prepared_at("one") == other);
}

TEST_CASE("postgres pipeline: a server that does not answer in time is told from one that is gone") {
    session session;
    statement_text const sleeps{"sleeps", "SELECT pg_sleep(60)"};
    statement_text const ends{"ends", "SELECT pg_terminate_backend(pg_backend_pid())"};
    bool const is_silent = GENERATE(true, false);
    try {
        static_cast<void>(session.line.run({{is_silent ? &sleeps : &ends}},
                                           std::chrono::steady_clock::now() + (is_silent ? 100ms : 30'000ms)));
        FAIL("it has been lost");
    } catch (statement_failure const& failed) {
        CHECK(failed.connection_lost);
        CHECK(failed.timed_out == is_silent);
    }
}
