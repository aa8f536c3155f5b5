// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include <idempo/postgres/queue/worker_fsm.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

using namespace idempo::postgres;
using idempo::postgres_problem;

// What a worker does when the server refuses, is silent or goes away, by literal events.

namespace {

using fsm = worker_fsm;

/// The actions in words, and the events that tests have need of.
class scene {
public:
    std::string actions() {
        std::string all;
        for (auto const& each : machine.take_actions()) {
            if (!all.empty()) all += ", ";
            all += std::visit([](auto const& action) { return words_of(action); }, each);
        }
        return all;
    }

    /// Until a batch of so many rows is being carried out.
    void carry_out(std::size_t rows) {
        machine.start();
        machine.on_connected();
        machine.on_taken(rows, true);
        actions();
    }

    fsm machine;

private:
    static std::string words_of(fsm::rows const& rows) {
        std::string all;
        for (auto const row : rows) all += ' ' + std::to_string(row);
        return all;
    }
    static std::string words_of(fsm::pause const&) { return "pause"; }
    static std::string words_of(fsm::connect const&) { return "connect"; }
    static std::string words_of(fsm::ask_for_ended const&) { return "ask"; }
    static std::string words_of(fsm::take const&) { return "take"; }
    static std::string words_of(fsm::carry_out const& wanted) { return "carry out" + words_of(wanted.which); }
    static std::string words_of(fsm::carry_out_one const& wanted) {
        return "carry out one " + std::to_string(wanted.row);
    }
    static std::string words_of(fsm::drop_connection const& wanted) {
        return wanted.is_late ? "drop late connection" : "drop connection";
    }
    static std::string words_of(fsm::tell const& wanted) {
        switch (wanted.is) {
        case fsm::availability::connected: return "connected";
        case fsm::availability::disconnected: return "disconnected";
        default: return "unreachable";
        }
    }
    static std::string name_of(postgres_problem problem) {
        switch (problem) {
        case postgres_problem::none: return "none";
        case postgres_problem::unreachable: return "unreachable";
        case postgres_problem::lost: return "lost";
        case postgres_problem::read_only: return "read_only";
        case postgres_problem::statement_failed: return "statement_failed";
        case postgres_problem::busy: return "busy";
        default: return "another";
        }
    }
    static std::string words_of(fsm::report const& wanted) {
        auto const more = wanted.sqlstate + wanted.detail;
        return "report " + name_of(wanted.problem) + (more.empty() ? "" : ' ' + more);
    }
    static std::string words_of(fsm::fail const& wanted) {
        auto const* const how = wanted.with == idempo::error::store_timed_out ? " as timed out"
                                : wanted.with == idempo::error::store_full    ? " as full"
                                                                              : " as unavailable";
        return "fail" + words_of(wanted.which) + how;
    }
    static std::string words_of(fsm::drop_batch const&) { return "drop batch"; }
    static std::string words_of(fsm::reset_backoff const&) { return "reset backoff"; }
};

statement_failure const lost("", true);
statement_failure const late("", true, true);
statement_failure const deadlock("40P01", false);
statement_failure const unique("23505", false);
statement_failure const full("53100", false);
statement_failure const read_only("25006", true);

}  // namespace

TEST_CASE("worker_fsm: it connects, takes a batch, has it carried out, and takes the next one") {
    scene scene;
    scene.machine.start();
    CHECK(scene.actions() == "connect");
    scene.machine.on_connected();
    CHECK(scene.actions() == "connected, report none, take");
    scene.machine.on_taken(3, true);
    CHECK(scene.actions() == "carry out 0 1 2");
    scene.machine.on_carried_out(std::nullopt, {});
    CHECK(scene.actions() == "reset backoff, drop batch, take");
    scene.machine.on_taken(0, true);
    CHECK(scene.actions().empty());
    CHECK(scene.machine.is_over());
}

TEST_CASE("worker_fsm: it pauses between attempts to connect, until the end") {
    scene scene;
    scene.machine.start();
    scene.actions();
    scene.machine.on_unreachable("no route");
    CHECK(scene.actions() == "unreachable, report unreachable no route, pause");
    scene.machine.on_paused(true);
    CHECK(scene.actions() == "connect");
    scene.machine.on_unreachable("no route");
    scene.actions();
    scene.machine.on_paused(false);
    CHECK(scene.actions().empty());
    CHECK(scene.machine.is_over());
}

TEST_CASE("worker_fsm: a connection that fails before its first use is dropped, and another one made later") {
    scene scene;
    scene.machine.start();
    scene.actions();
    SECTION("it is lost") {
        scene.machine.on_setup_failed(lost);
        CHECK(scene.actions() == "drop connection, disconnected, report lost, unreachable, pause");
    }
    SECTION("a statement is refused") {
        scene.machine.on_setup_failed(unique);
        CHECK(scene.actions() == "report statement_failed 23505, drop connection, unreachable, pause");
    }
    scene.machine.on_paused(true);
    CHECK(scene.actions() == "connect");
}

TEST_CASE("worker_fsm: a connection that died while nothing was asked is replaced before the batch is sent") {
    scene scene;
    scene.machine.start();
    scene.machine.on_connected();
    scene.actions();
    scene.machine.on_taken(2, false);
    CHECK(scene.actions() == "drop connection, disconnected, connect");
    SECTION("by one that works") {
        scene.machine.on_connected();
        CHECK(scene.actions() == "connected, report none, carry out 0 1");
    }
    SECTION("by none: nothing was sent, so all may be told at once") {
        scene.machine.on_unreachable("refused");
        CHECK(scene.actions() == "unreachable, report unreachable refused, fail 0 1 as unavailable, drop batch, pause");
    }
}

TEST_CASE("worker_fsm: what one row may have spoilt is tried row by row") {
    scene scene;
    scene.carry_out(3);
    scene.machine.on_carried_out(unique, {1, 2});
    CHECK(scene.actions() == "report statement_failed 23505, carry out one 1");
    SECTION("and the row that fails again fails alone") {
        scene.machine.on_carried_out(unique, {1});
        CHECK(scene.actions() == "report statement_failed 23505, fail 1 as unavailable, carry out one 2");
        scene.machine.on_carried_out(std::nullopt, {});
        CHECK(scene.actions() == "drop batch, take");
    }
    SECTION("and a row whose caller has given up is not sent") {
        scene.machine.on_unwanted();
        CHECK(scene.actions() == "fail 1 as unavailable, carry out one 2");
    }
}

TEST_CASE("worker_fsm: a single row is tried again where that may help") {
    scene scene;
    scene.carry_out(1);
    SECTION("after a deadlock") {
        scene.machine.on_carried_out(deadlock, {0});
        CHECK(scene.actions() == "report statement_failed 40P01, carry out one 0");
    }
    SECTION("after the connection was lost") {
        scene.machine.on_carried_out(lost, {0});
        CHECK(scene.actions() == "drop connection, disconnected, report lost, connect");
        scene.machine.on_connected();
        CHECK(scene.actions() == "connected, report none, carry out one 0");
    }
    SECTION("not after a refusal that will come again") {
        scene.machine.on_carried_out(unique, {0});
        CHECK(scene.actions() == "report statement_failed 23505, fail 0 as unavailable, drop batch, take");
    }
    SECTION("not on a full disk") {
        scene.machine.on_carried_out(full, {0});
        CHECK(scene.actions() == "report statement_failed 53100, fail 0 as full, drop batch, take");
    }
}

TEST_CASE("worker_fsm: rows that are left when the connection cannot be had again fail one after the other") {
    scene scene;
    scene.carry_out(2);
    scene.machine.on_carried_out(lost, {0, 1});
    scene.actions();
    scene.machine.on_unreachable("refused");
    CHECK(scene.actions() == "unreachable, report unreachable refused, fail 0 as unavailable, connect");
    SECTION("until an attempt succeeds") {
        scene.machine.on_connected();
        CHECK(scene.actions() == "connected, report none, carry out one 1");
    }
    SECTION("and a pause comes before the next batch") {
        scene.machine.on_unreachable("refused");
        CHECK(scene.actions() == "unreachable, report unreachable refused, fail 1 as unavailable, drop batch, pause");
    }
}

TEST_CASE("worker_fsm: a standby is left, and nothing is sent to it again at once") {
    scene scene;
    scene.carry_out(2);
    scene.machine.on_carried_out(read_only, {0, 1});
    CHECK(scene.actions() ==
          "drop connection, unreachable, report read_only 25006, fail 0 1 as unavailable, drop batch, pause");
}

TEST_CASE("worker_fsm: no statement is sent while a process that did not answer in time is at work") {
    scene scene;
    scene.carry_out(2);
    scene.machine.on_carried_out(late, {0, 1});
    CHECK(scene.actions() ==
          "drop late connection, disconnected, report lost, fail 0 1 as timed out, drop batch, connect");
    scene.machine.on_connected();
    CHECK(scene.actions() == "ask");
    SECTION("it has ended") {
        scene.machine.on_asked(std::nullopt, 0);
        CHECK(scene.actions() == "connected, report none, take");
    }
    SECTION("it is still at work") {
        scene.machine.on_asked(std::nullopt, 1);
        CHECK(scene.actions() == "unreachable, report busy, pause");
        scene.machine.on_paused(true);
        CHECK(scene.actions() == "ask");  // over the connection that it has
    }
    SECTION("the question is not answered in time either") {
        scene.machine.on_asked(late, 1);
        CHECK(scene.actions() == "drop late connection, disconnected, report lost, pause");
        scene.machine.on_paused(true);
        scene.machine.on_connected();
        CHECK(scene.actions() == "connect, ask");
        scene.machine.on_asked(std::nullopt, 2);
        CHECK(scene.actions() == "unreachable, report busy, pause");
    }
}

TEST_CASE("worker_fsm: a row that is not answered in time takes those behind it with it") {
    scene scene;
    scene.carry_out(3);
    scene.machine.on_carried_out(deadlock, {0, 1, 2});
    scene.actions();
    scene.machine.on_carried_out(late, {0});
    CHECK(scene.actions() ==
          "drop late connection, disconnected, report lost, fail 0 as timed out, fail 1 2 as unavailable, "
          "drop batch, pause");
}

namespace {

/// A server with a failure for the first message and another one for all that follow. The rows before `told` succeed.
struct failing_server {
    statement_failure const& first;
    statement_failure const& second;
    std::size_t told;
    fsm machine{};
    int batches = 0;
    int messages = 0;
    std::vector<int> outcomes = std::vector<int>(3);

    void run() {
        for (machine.start(); !machine.is_over();) {
            for (auto const& each : machine.take_actions()) std::visit([this](auto const& one) { perform(one); }, each);
        }
    }

    void carry_out(fsm::rows const& which) {
        auto const& failure = messages++ == 0 ? first : second;
        fsm::rows untold;
        for (auto const row : which) {
            if (row >= told) untold.push_back(row);
            if (row < told) ++outcomes[row];
        }
        machine.on_carried_out(untold.empty() ? std::nullopt : std::optional(failure), untold);
    }

    void perform(fsm::pause const&) { machine.on_paused(true); }
    void perform(fsm::connect const&) { machine.on_connected(); }
    void perform(fsm::ask_for_ended const&) { machine.on_asked(std::nullopt, 0); }
    void perform(fsm::take const&) { machine.on_taken(batches++ == 0 ? outcomes.size() : 0, true); }
    void perform(fsm::carry_out const& wanted) { carry_out(wanted.which); }
    void perform(fsm::carry_out_one const& wanted) { carry_out({wanted.row}); }
    void perform(fsm::fail const& wanted) {
        for (auto const row : wanted.which) ++outcomes[row];
    }
    template <class Other>
    void perform(Other const&) {}
};

}  // namespace

TEST_CASE("worker_fsm: each row of a batch is told once, whatever fails and when") {
    int served = 0;
    for (auto const& first : {lost, late, deadlock, unique, full, read_only}) {
        for (auto const& second : {lost, late, deadlock, unique, full, read_only}) {
            for (std::size_t const told : {0, 1, 3}) {
                CAPTURE(first.sqlstate, first.timed_out, second.sqlstate, second.timed_out, told);
                failing_server server{first, second, told};
                server.run();
                CHECK(server.outcomes == std::vector<int>{1, 1, 1});
                CHECK(server.batches == 2);
                ++served;
            }
        }
    }
    CHECK(served == 108);
}
