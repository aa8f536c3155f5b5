// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include <idempo/redis/discovery/probe_fsm.hpp>

#include <chrono>
#include <cstddef>
#include <string>
#include <variant>

using namespace std::chrono_literals;
using namespace idempo::redis;
using idempo::redis_endpoint;

// Asking servers one after the other, by literal replies and a clock that is moved.

namespace {

using fsm = probe_fsm;

question of_three(std::string const& password) {
    question asked;
    asked.servers = {{"one", 1}, {"two", 2}, {"three", 3}};
    asked.user = "u";
    asked.password = password;
    asked.words = {"ROLE"};
    asked.timeout = 250ms;
    return asked;
}

/// The actions in words, and the events that tests have need of. The answer "yes" will do.
class scene {
public:
    explicit scene(std::string const& password = {})
        : machine(of_three(password), [this](reply_view answer, redis_endpoint const& from) {
              heard += from.host + ' ' + std::string(answer.text()) + ';';
              return answer.text() == "yes" || answer.is_error();
          }) {}

    std::string actions() {
        std::string all;
        for (auto const& each : machine.take_actions()) {
            if (!all.empty()) all += ", ";
            all += std::visit([this](auto const& action) { return words_of(action); }, each);
        }
        return all;
    }

    /// As far as one step with the first server: 0 dialled, 1 asked, 2 some of its answer has come.
    void come_to(int step) {
        machine.start(now);
        actions();
        if (step > 0) machine.on_connected(0);
        if (step > 1) machine.on_bytes(0, "+y", now);
        actions();
    }

    time_point now{1h};
    std::string heard;
    std::size_t server = 0;
    fsm machine;

private:
    std::string words_of(fsm::dial const& wanted) {
        server = wanted.server;
        return "dial " + wanted.endpoint.host;
    }
    std::string words_of(fsm::write const& wanted) {
        CHECK(wanted.server == server);
        return wanted.bytes.find("AUTH") == std::string::npos ? "ask" : "log in and ask";
    }
    static std::string words_of(fsm::hang_up const&) { return "hang up"; }
    static std::string words_of(fsm::finish const& wanted) {
        return "finish " + (wanted.answered_by ? wanted.answered_by->host : std::string("without"));
    }
};

}  // namespace

TEST_CASE("probe_fsm: the first answer that will do is the last") {
    scene scene;
    scene.machine.start(scene.now);
    CHECK(scene.actions() == "dial one");
    CHECK(*scene.machine.next_time() == scene.now + 250ms);
    scene.machine.on_connected(0);
    CHECK(scene.actions() == "ask");
    scene.machine.on_bytes(0, "+ye", scene.now);
    CHECK(scene.actions().empty());
    scene.machine.on_bytes(0, "s\r\n+and more\r\n", scene.now);
    CHECK(scene.actions() == "hang up, finish one");
    CHECK(scene.heard == "one yes;");
    CHECK_FALSE(scene.machine.next_time());
}

TEST_CASE("probe_fsm: the answer comes after the one to AUTH, and an error to that is the answer") {
    scene scene("secret");
    scene.come_to(0);
    scene.machine.on_connected(0);
    CHECK(scene.actions() == "log in and ask");
    SECTION("logged in") {
        scene.machine.on_bytes(0, "+OK\r\n+yes\r\n", scene.now);
        CHECK(scene.actions() == "hang up, finish one");
        CHECK(scene.heard == "one yes;");
    }
    SECTION("refused") {
        scene.machine.on_bytes(0, "-WRONGPASS no\r\n-NOAUTH no\r\n", scene.now);
        CHECK(scene.actions() == "hang up, dial two");
        CHECK(scene.heard == "one WRONGPASS no;");
    }
}

TEST_CASE("probe_fsm: after a failure at any step the next server is asked") {
    int const step = GENERATE(0, 1, 2);
    CAPTURE(step);
    scene scene;
    scene.come_to(step);
    SECTION("it fails") { scene.machine.on_failed(0, scene.now); }
    SECTION("it takes too long") {
        scene.machine.on_time(scene.now + 249ms);
        CHECK(scene.actions().empty());
        scene.machine.on_time(scene.now + 250ms);
    }
    SECTION("its answer will not do") {
        if (step == 0) return;
        scene.machine.on_bytes(0, GENERATE("+no\r\n", "-ERR no\r\n", "\r\n?\r\n"), scene.now);
    }
    CHECK(scene.actions() == "hang up, dial two");
    scene.machine.on_failed(1, scene.now);
    CHECK(scene.actions() == "hang up, dial three");
    scene.machine.on_failed(2, scene.now);
    CHECK(scene.actions() == "hang up, finish without");
    CHECK_FALSE(scene.machine.next_time());
}

TEST_CASE("probe_fsm: each server has its own time") {
    scene scene;
    auto const begin = scene.now;
    scene.machine.start(begin);
    for (int number = 1; number <= 3; ++number) {
        CHECK(*scene.machine.next_time() == begin + number * 250ms);
        scene.now = *scene.machine.next_time();
        scene.machine.on_time(scene.now);
    }
    CHECK(scene.actions() == "dial one, hang up, dial two, hang up, dial three, hang up, finish without");
}

TEST_CASE("probe_fsm: events of another server, or that do not fit the step, change nothing") {
    int const step = GENERATE(0, 1, 2);
    CAPTURE(step);
    scene scene;
    scene.come_to(step);
    auto const due = scene.machine.next_time();
    scene.machine.on_connected(1);
    scene.machine.on_bytes(1, "+yes\r\n", scene.now);
    scene.machine.on_failed(1, scene.now);
    scene.machine.start(scene.now);
    if (step == 0) scene.machine.on_bytes(0, "+yes\r\n", scene.now);
    if (step > 0) scene.machine.on_connected(0);
    CHECK(scene.actions().empty());
    CHECK(scene.heard.empty());
    CHECK(scene.machine.next_time() == due);
}

TEST_CASE("probe_fsm: when it is cancelled nothing happens any more, and nobody is told") {
    int const step = GENERATE(-1, 0, 1, 2);
    scene scene;
    if (step >= 0) scene.come_to(step);
    scene.machine.cancel();
    CHECK(scene.actions() == "hang up");
    scene.machine.start(scene.now);
    scene.machine.on_connected(0);
    scene.machine.on_bytes(0, "+yes\r\n", scene.now);
    scene.machine.on_failed(0, scene.now);
    scene.machine.on_time(scene.now + 1h);
    CHECK(scene.actions().empty());
    CHECK(scene.heard.empty());
    CHECK_FALSE(scene.machine.next_time());
}
