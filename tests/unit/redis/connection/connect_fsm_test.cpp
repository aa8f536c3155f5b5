// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include <idempo/redis/connection/connect_fsm.hpp>

#include <boost/asio/error.hpp>

#include <chrono>
#include <string>
#include <variant>

using namespace std::chrono_literals;
using namespace idempo::redis;

// Connecting to a host with several addresses, by literal events and a clock that is moved.

namespace {

using fsm = connect_fsm;
namespace error = asio::error;

/// The actions in words, and the events that tests have need of.
class scene {
public:
    explicit scene(std::string const& host = "a.example") : machine(host, 1200ms) {}

    std::string actions() {
        std::string all;
        for (auto const& each : machine.take_actions()) {
            if (!all.empty()) all += ", ";
            all += std::visit([this](auto const& action) { return words_of(action); }, each);
        }
        return all;
    }

    /// How far away the next deadline is.
    std::chrono::milliseconds patience() const {
        REQUIRE(machine.next_time());
        return std::chrono::duration_cast<std::chrono::milliseconds>(*machine.next_time() - now);
    }

    void start() { machine.start(now); }

    void find(int addresses, idempo::error_code error = {}) {
        ip_addresses found;
        for (int number = 1; number <= addresses; ++number)
            found.push_back(asio::ip::make_address("192.0.2." + std::to_string(number)));
        machine.on_found(found, error, now);
    }

    /// Of the attempt that is under way.
    void result(idempo::error_code error = {}) { machine.on_result(attempt, error, now); }

    void let_pass(std::chrono::milliseconds time) {
        now += time;
        machine.on_time(now);
    }

    fsm::time_point now{1h};
    unsigned attempt = 0;
    fsm machine;

private:
    static std::string words_of(fsm::look_up const& wanted) {
        return "look up in " + std::to_string(wanted.patience.count());
    }
    std::string words_of(fsm::dial const& wanted) {
        attempt = wanted.attempt;
        return "dial " + wanted.address.to_string();
    }
    static std::string words_of(fsm::hang_up const&) { return "hang up"; }
    static std::string words_of(fsm::report_failure const& wanted) { return wanted.address.to_string() + " failed"; }
    static std::string words_of(fsm::report_success const& wanted) { return wanted.address.to_string() + " works"; }
    static std::string words_of(fsm::finish const& wanted) {
        return wanted.error ? "finish: " + std::string(wanted.error.message()) : "finish";
    }
};

std::string const timed_out = idempo::error_code(error::timed_out).message();
std::string const refused = idempo::error_code(error::connection_refused).message();
std::string const not_found = idempo::error_code(error::host_not_found).message();

}  // namespace

TEST_CASE("connect_fsm: a name is looked up in half of the time, and its first address dialled") {
    scene scene;
    scene.start();
    CHECK(scene.actions() == "look up in 600");
    CHECK_FALSE(scene.machine.next_time());  // the lookup has the patience
    scene.find(1);
    CHECK(scene.actions() == "dial 192.0.2.1");
    scene.result();
    CHECK(scene.actions() == "192.0.2.1 works, finish");
    CHECK_FALSE(scene.machine.next_time());
}

TEST_CASE("connect_fsm: the name of an address needs no lookup") {
    for (std::string const host : {"192.0.2.9", "2001:db8::9"}) {
        scene scene(host);
        scene.start();
        CHECK(scene.actions() == "dial " + host);
        CHECK(scene.patience() == 600ms);
        scene.result();
        CHECK(scene.actions() == host + " works, finish");
    }
}

TEST_CASE("connect_fsm: a name that nobody knows ends it with the error of the lookup") {
    scene scene;
    scene.start();
    scene.actions();
    SECTION("an error") {
        scene.find(0, error::timed_out);
        CHECK(scene.actions() == "finish: " + timed_out);
    }
    SECTION("no address, and no error") {
        scene.find(0);
        CHECK(scene.actions() == "finish: " + not_found);
    }
}

TEST_CASE("connect_fsm: an address that refuses makes way for the next one at once") {
    scene scene;
    scene.start();
    scene.find(3);
    scene.actions();
    scene.result(error::connection_refused);
    CHECK(scene.actions() == "192.0.2.1 failed, hang up, dial 192.0.2.2");
    scene.result(error::connection_refused);
    CHECK(scene.actions() == "192.0.2.2 failed, hang up, dial 192.0.2.3");
    SECTION("the last one works") {
        scene.result();
        CHECK(scene.actions() == "192.0.2.3 works, finish");
        CHECK(scene.machine.dialled()->to_string() == "192.0.2.3");
    }
    SECTION("the last one refuses, too") {
        scene.result(error::connection_refused);
        CHECK(scene.actions() == "192.0.2.3 failed, hang up, finish: " + refused);
    }
}

TEST_CASE("connect_fsm: silent addresses share the time, and leave some for what follows") {
    scene scene;
    scene.start();
    scene.find(3);
    CHECK(scene.actions() == "look up in 600, dial 192.0.2.1");
    CHECK(scene.patience() == 300ms);
    scene.let_pass(299ms);
    CHECK(scene.actions().empty());
    scene.let_pass(1ms);
    CHECK(scene.actions() == "192.0.2.1 failed, hang up, dial 192.0.2.2");
    CHECK(scene.patience() == 300ms);
    scene.let_pass(300ms);
    CHECK(scene.actions() == "192.0.2.2 failed, hang up, dial 192.0.2.3");
    scene.let_pass(300ms);
    CHECK(scene.actions() == "192.0.2.3 failed, hang up, finish: " + timed_out);
    CHECK(scene.now - fsm::time_point(1h) == 900ms);
}

TEST_CASE("connect_fsm: what a quick failure leaves goes to the others") {
    scene scene;
    scene.start();
    scene.find(2);
    scene.actions();
    CHECK(scene.patience() == 400ms);
    scene.result(error::connection_refused);
    CHECK(scene.patience() == 600ms);
}

TEST_CASE("connect_fsm: after a slow lookup the addresses share what it has left") {
    scene scene;
    scene.start();
    scene.let_pass(600ms);
    scene.find(2);
    CHECK(scene.patience() == 200ms);
}

TEST_CASE("connect_fsm: when the time is over already, each address is still dialled once") {
    scene scene;
    scene.start();
    scene.let_pass(1200ms);
    scene.find(2);
    scene.actions();
    CHECK(scene.patience() == 0ms);
    scene.let_pass(0ms);
    CHECK(scene.actions() == "192.0.2.1 failed, hang up, dial 192.0.2.2");
    scene.let_pass(0ms);
    CHECK(scene.actions() == "192.0.2.2 failed, hang up, finish: " + timed_out);
}

TEST_CASE("connect_fsm: a result that comes after its attempt was given up changes nothing") {
    scene scene;
    scene.start();
    scene.find(2);
    scene.actions();
    auto const given_up = scene.attempt;
    scene.let_pass(400ms);
    scene.actions();
    scene.machine.on_result(given_up, {}, scene.now);
    scene.machine.on_result(given_up, error::operation_aborted, scene.now);
    CHECK(scene.actions().empty());
    scene.result();
    CHECK(scene.actions() == "192.0.2.2 works, finish");
}

TEST_CASE("connect_fsm: events out of turn change nothing") {
    scene scene;
    scene.find(1);
    scene.machine.on_result(0, {}, scene.now);
    scene.machine.on_time(scene.now);
    CHECK(scene.actions().empty());
    scene.start();
    CHECK(scene.actions() == "look up in 600");
    scene.start();
    scene.machine.on_result(0, {}, scene.now);
    CHECK(scene.actions().empty());
    scene.find(1);
    scene.find(2);
    CHECK(scene.actions() == "dial 192.0.2.1");
    scene.result();
    scene.actions();
    scene.result(error::connection_reset);
    scene.start();
    scene.let_pass(1h);
    CHECK(scene.actions().empty());
}

TEST_CASE("connect_fsm: cancelled at each step, it does nothing more") {
    auto const step = GENERATE(0, 1, 2, 3);
    CAPTURE(step);
    scene scene;
    if (step > 0) scene.start();
    if (step > 1) scene.find(2);
    if (step > 2) {
        scene.actions();
        scene.result(error::connection_refused);
    }
    scene.machine.cancel();
    CHECK(scene.actions().empty());
    CHECK_FALSE(scene.machine.next_time());
    scene.start();
    scene.find(1);
    scene.result();
    scene.let_pass(1h);
    CHECK(scene.actions().empty());
}
