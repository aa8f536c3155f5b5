// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include <idempo/redis/discovery/sentinel_watch_fsm.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>

using namespace std::chrono_literals;
using namespace idempo::redis;
using idempo::redis_endpoint;

// Listening to sentinels, by literal messages and a clock that is moved.

namespace {

using fsm = sentinel_watch_fsm;

std::string bulk(std::string const& text) { return '$' + std::to_string(text.size()) + "\r\n" + text + "\r\n"; }

std::string subscribed(std::string const& channel, int number) {
    return "*3\r\n" + bulk("subscribe") + bulk(channel) + ':' + std::to_string(number) + "\r\n";
}

std::string message(std::string const& channel, std::string const& text) {
    return "*3\r\n" + bulk("message") + bulk(channel) + bulk(text);
}

std::string const confirmed = subscribed("+promoted-slave", 1) + subscribed("+switch-master", 2);
std::string const pong = "*2\r\n" + bulk("pong") + bulk("");
std::string const ping = "*1\r\n$4\r\nPING\r\n";

std::shared_ptr<sentinel_group const> three_sentinels() {
    idempo::redis_sentinels of;
    of.endpoints = {{"one", 1}, {"two", 2}, {"three", 3}};
    of.primary_name = "charges";
    return std::make_shared<sentinel_group>(of, 1000ms);
}

/// The actions in words, and the events that tests have need of.
class scene {
public:
    std::string actions() {
        std::string all;
        for (auto const& each : machine.take_actions()) {
            if (!all.empty()) all += ", ";
            all += std::visit([this](auto const& action) { return words_of(action); }, each);
        }
        return all;
    }

    void connect() { machine.on_connected(attempt, now); }
    void written() { machine.on_written(attempt); }
    void receive(std::string const& bytes) { machine.on_bytes(attempt, bytes, now); }
    void fail() { machine.on_failed(attempt, now); }
    void compared(std::optional<std::uint16_t> port) {
        machine.on_compared(attempt, port ? std::optional(redis_endpoint{"host", *port}) : std::nullopt, now);
    }

    std::chrono::milliseconds await() {
        auto const before = now;
        now = machine.next_time().value();
        machine.on_time(now);
        return std::chrono::duration_cast<std::chrono::milliseconds>(now - before);
    }

    /// 0 dialled, 1 connected, 2 subscribed, 3 compared.
    void come_to(int step) {
        machine.start(now);
        actions();
        if (step > 0) connect();
        if (step > 0) written();
        if (step > 1) receive(confirmed);
        if (step > 2) compared(7);
        actions();
    }

    time_point now{1h};
    fsm machine{three_sentinels(), 1};
    std::uint64_t attempt = 0;

private:
    std::string words_of(fsm::dial const& wanted) {
        attempt = wanted.attempt;
        return "dial " + wanted.sentinel.host;
    }
    std::string words_of(fsm::write const& wanted) {
        CHECK(wanted.attempt == attempt);
        return wanted.bytes == ping ? "ping" : "subscribe";
    }
    std::string words_of(fsm::compare const& wanted) {
        CHECK(wanted.attempt == attempt);
        return "compare " + std::to_string(wanted.sentinel);
    }
    static std::string words_of(fsm::hang_up const&) { return "hang up"; }
    static std::string words_of(fsm::tell const& wanted) { return "tell " + std::to_string(wanted.primary.port); }
    static std::string words_of(fsm::tell_silence const&) { return "tell silence"; }
};

}  // namespace

TEST_CASE("sentinel_watch_fsm: subscribes, compares, and tells what is said from then on") {
    scene scene;
    scene.machine.start(scene.now);
    CHECK(scene.actions() == "dial one");
    scene.connect();
    CHECK(scene.actions() == "subscribe");
    scene.written();
    scene.receive(subscribed("+promoted-slave", 1));
    CHECK(scene.actions().empty());
    scene.receive(subscribed("+switch-master", 2));
    CHECK(scene.actions() == "compare 0");
    scene.compared(7);
    CHECK(scene.actions() == "tell 7");
    scene.receive(message("+switch-master", "charges old 1 new 8"));
    CHECK(scene.actions() == "tell 8");
    scene.receive(message("+switch-master", "orders old 1 new 8"));
    CHECK(scene.actions().empty());
    scene.receive(message("+promoted-slave", "slave a:1 a 1 @ charges b 2"));
    CHECK(scene.actions() == "compare 0");
    scene.compared(9);
    CHECK(scene.actions() == "tell 9");
}

TEST_CASE("sentinel_watch_fsm: a failure at any step leads to the next sentinel, after a pause") {
    int const step = GENERATE(0, 1, 2, 3);
    CAPTURE(step);
    scene scene;
    scene.come_to(step);
    SECTION("it fails") { scene.fail(); }
    SECTION("it does not know the primary") {
        if (step == 0) return;
        scene.compared(std::nullopt);
    }
    SECTION("it says what makes no sense") {
        if (step == 0) return;
        scene.receive(GENERATE("+what\r\n", "?\r\n", "*1\r\n$5\r\nhello\r\n"));
    }
    SECTION("it says nothing") {
        CHECK(scene.await() == 1s);
        if (step > 1) {  // it had been heard
            CHECK(scene.actions() == "ping");
            scene.written();
            CHECK(scene.await() == 1s);
        }
    }
    CHECK(scene.actions() == "hang up");
    CHECK(scene.await() <= 60ms);
    CHECK(scene.actions() == "dial two");
}

TEST_CASE("sentinel_watch_fsm: one that answers is listened to, and one that does not take what is written is not") {
    scene scene;
    scene.come_to(3);
    for (int number = 0; number < 5; ++number) {
        CHECK(scene.await() == 1s);
        CHECK(scene.actions() == "ping");
        scene.written();
        scene.receive(pong);
        CHECK(scene.actions().empty());
    }
    CHECK(scene.await() == 1s);
    CHECK(scene.actions() == "ping");
    scene.receive(pong);  // to an earlier one: this one has not been written
    CHECK(scene.await() == 1s);
    CHECK(scene.actions() == "hang up");
}

TEST_CASE("sentinel_watch_fsm: that no sentinel can be reached is said once, until one can") {
    scene scene;
    scene.machine.start(scene.now);
    std::string all;
    for (int number = 0; number < 7; ++number) {
        scene.actions();
        scene.fail();
        all += scene.actions() + "; ";
        scene.await();
    }
    CHECK(all == "hang up; hang up; hang up, tell silence; hang up; hang up; hang up; hang up; ");
    CHECK(scene.actions() == "dial two");
    scene.connect();
    scene.receive(confirmed);
    scene.compared(7);
    CHECK(scene.actions() == "subscribe, compare 1, tell 7");
    all.clear();
    for (int number = 0; number < 3; ++number) {
        scene.fail();
        all += scene.actions() + "; ";
        scene.await();
        scene.actions();
    }
    CHECK(all == "hang up; hang up; hang up, tell silence; ");
}

TEST_CASE("sentinel_watch_fsm: pauses grow, and are short again after one that has worked for a while") {
    bool const works_long = GENERATE(false, true);
    scene scene;
    scene.machine.start(scene.now);
    for (int number = 0; number < 500; ++number) {
        scene.actions();
        scene.fail();
        auto const pause = scene.await();
        CHECK(pause >= 20ms);
        CHECK(pause <= 1s);
        if (pause > 700ms) break;
    }
    scene.actions();
    scene.connect();
    scene.written();
    scene.receive(confirmed);
    scene.compared(7);
    if (works_long) scene.now += 1001ms;
    scene.fail();
    scene.actions();
    auto const pause = *scene.machine.next_time() - scene.now;
    if (works_long) CHECK(pause <= 60ms);
    CHECK(pause <= 1s);
}

TEST_CASE("sentinel_watch_fsm: events of an attempt that is over, or that do not fit the step, change nothing") {
    int const step = GENERATE(0, 1, 2, 3);
    CAPTURE(step);
    scene scene;
    scene.come_to(step);
    bool const is_over = GENERATE(false, true);
    auto const old = scene.attempt;
    if (is_over) {
        scene.fail();
        scene.await();
        scene.actions();
        scene.connect();
        scene.actions();
    }
    auto const due = scene.machine.next_time();
    if (is_over || step > 0) scene.machine.on_connected(old, scene.now);
    if (is_over || step == 0) {
        scene.machine.on_bytes(old, "?", scene.now);
        scene.machine.on_compared(old, redis_endpoint{"host", 5}, scene.now);
        scene.machine.on_written(old);
    }
    if (is_over) scene.machine.on_failed(old, scene.now);
    scene.machine.start(scene.now);
    scene.machine.on_time(scene.now);
    CHECK(scene.actions().empty());
    CHECK(scene.machine.next_time() == due);
}

TEST_CASE("sentinel_watch_fsm: when it has ended nothing happens any more") {
    int const step = GENERATE(0, 1, 2, 3);
    scene scene;
    scene.come_to(step);
    scene.machine.end();
    CHECK(scene.actions() == "hang up");
    scene.connect();
    scene.receive(confirmed);
    scene.compared(7);
    scene.fail();
    scene.machine.start(scene.now);
    scene.machine.on_time(scene.now + 1h);
    CHECK(scene.actions().empty());
    CHECK_FALSE(scene.machine.next_time());
}
