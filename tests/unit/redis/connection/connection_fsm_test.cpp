// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include <idempo/redis/connection/connection_fsm.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

using namespace std::chrono_literals;
using namespace idempo::redis;
using idempo::redis_endpoint;
using idempo::redis_problem;

// Every state of a connection, and what can happen in it, by literal events and a clock that is moved.

namespace {

using fsm = connection_fsm;

std::string bulk(std::string const& text) { return '$' + std::to_string(text.size()) + "\r\n" + text + "\r\n"; }

std::string info(std::string const& role = "master", std::string const& policy = "noeviction") {
    return bulk("redis_version:7.0.15\r\nloading:0\r\naof_enabled:1\r\nmaxmemory_policy:" + policy +
                "\r\nrole:" + role + "\r\n");
}

/// Says its name, and keeps what became of it.
class named_operation final : public operation {
public:
    using journal = std::map<std::string, std::string>;

    named_operation(std::string name, journal& told)
        : operation({{1}}, {}, operation_kind::unordered),
          name_(std::move(name)),
          told_(told) {}

    void append_command(std::string& to, server_abilities) override { to += name_; }
    reading read(reply_view answer) override {
        text_ = answer.text();
        return text_ == "nonsense" ? reading::wrong_connection : reading::answered;
    }
    void settle() override { tell(text_); }
    void fail(idempo::error_code error) override { tell(error.message()); }
    [[nodiscard]] bool is_settled() const noexcept override { return is_settled_; }

private:
    void tell(std::string const& what) {
        REQUIRE_FALSE(is_settled_);
        is_settled_ = true;
        told_[name_] = what;
    }

    std::string name_;
    journal& told_;
    std::string text_;
    bool is_settled_ = false;
};

idempo::redis_options quiet_options() {
    idempo::redis_options options;
    options.client_name.clear();  // INFO is the only question
    return options;
}

/// The actions in words, and the events that tests have need of.
class scene {
public:
    explicit scene(idempo::redis_options of = quiet_options()) : options(std::move(of)), machine(options, 1) {}

    std::string actions() {
        std::string all;
        for (auto& each : machine.take_actions()) {
            if (!all.empty()) all += ", ";
            all += std::visit([this](auto& action) { return words_of(action); }, each);
        }
        return all;
    }

    std::string output() {
        std::string text;
        machine.produce(text, now, pipeline::no_limit);
        return text;
    }

    void submit(std::string const& name) {
        auto made = std::make_unique<named_operation>(name, told);
        REQUIRE(machine.load().admit(*made, options));
        machine.submit(std::move(made), now);
    }

    /// Time passes to the next moment that the machine waits for.
    void await() {
        auto const next = machine.next_time();
        REQUIRE(next);
        REQUIRE(*next >= now);
        now = *next;
        machine.on_time(now);
    }

    void pass(std::chrono::milliseconds span) {
        now += span;
        machine.on_time(now);
    }

    void find(std::uint16_t port = 1) { machine.on_found(attempt, {"host", port}, now); }
    void connect() { machine.on_connected(attempt, {}, now); }
    void receive(std::string const& bytes) { machine.on_bytes(attempt, bytes, now); }
    void fail(redis_problem problem = redis_problem::none) { machine.on_failed(attempt, problem, {}, now); }

    /// As far as one step of the way to a connection: 0 started, 1 found, 2 connected, 3 ready.
    void come_to(int step) {
        machine.start(now);
        actions();
        if (step > 0) find();
        if (step > 1) connect();
        if (step > 1) output();
        if (step > 2) receive(info());
        actions();
    }

    idempo::redis_options options;
    named_operation::journal told;
    time_point now{1h};
    fsm machine;
    std::uint64_t attempt = 0;
    std::vector<redirected_operation> redirected;

private:
    std::string words_of(fsm::find_server const& wanted) {
        attempt = wanted.attempt;
        return "find";
    }
    std::string words_of(fsm::dial const& wanted) {
        CHECK(wanted.attempt == attempt);
        return "dial " + std::to_string(wanted.server.port);
    }
    static std::string words_of(fsm::hang_up const& wanted) { return wanted.has_failed ? "hang up failed" : "hang up"; }
    static std::string words_of(fsm::tell const& wanted) {
        return "tell " + std::to_string(static_cast<int>(wanted.event.problem)) +
               (wanted.event.words.empty() ? "" : ' ' + wanted.event.words);
    }
    static std::string words_of(fsm::doubt const& wanted) { return "doubt " + std::to_string(wanted.server.port); }
    std::string words_of(fsm::send_elsewhere& wanted) {
        redirected.push_back(std::move(wanted.operation));
        return "send to " + std::to_string(redirected.back().where.to.port);
    }
    static std::string words_of(fsm::finish const&) { return "finish"; }
};

std::string told(redis_problem problem) { return "tell " + std::to_string(static_cast<int>(problem)); }

std::string const unavailable = make_error_code(idempo::error::store_unavailable).message();
std::string const timed_out = make_error_code(idempo::error::store_timed_out).message();
std::string const ask_info = "*1\r\n$4\r\nINFO\r\n";

}  // namespace

TEST_CASE("connection_fsm: finds, dials and greets the server before anything is sent") {
    scene scene;
    scene.submit("a");
    CHECK(scene.actions().empty());
    scene.machine.start(scene.now);
    CHECK(scene.actions() == "find");
    CHECK(scene.output().empty());
    scene.find();
    CHECK(scene.actions() == "dial 1");
    CHECK(scene.output().empty());
    CHECK_FALSE(scene.machine.has_output());
    scene.connect();
    CHECK(scene.machine.has_output());
    CHECK(scene.output() == ask_info);
    CHECK(scene.output().empty());
    auto const answer = info();
    scene.receive(answer.substr(0, 20));
    CHECK(scene.actions().empty());
    scene.receive(answer.substr(20));
    CHECK(scene.actions() == told(redis_problem::none));
    CHECK(scene.machine.has_output());
    CHECK(scene.output() == "a");
    scene.receive("+yes\r\n");
    CHECK(scene.told.at("a") == "yes");
    CHECK(scene.machine.load().operations == 0);
    CHECK(scene.actions().empty());
}

TEST_CASE("connection_fsm: a failure at any step ends the attempt, and fails what had waited for it") {
    int const step = GENERATE(0, 1, 2);
    CAPTURE(step);
    auto options = quiet_options();
    options.operation_timeout = 5s;
    scene scene(options);
    scene.submit("a");
    scene.come_to(step);
    auto const port = std::to_string(step > 0 ? 1 : 0);
    std::string problem = told(redis_problem::unreachable);
    SECTION("it fails") { scene.fail(); }
    SECTION("it fails for a reason of its own") {
        scene.fail(redis_problem::untrusted_certificate);
        problem = told(redis_problem::untrusted_certificate);
    }
    SECTION("it takes too long") {
        auto const before = scene.now;
        scene.await();
        CHECK(scene.now - before == scene.options.connect_timeout);
    }
    CHECK(scene.actions() == "hang up failed, " + problem + ", doubt " + port);
    CHECK(scene.told.at("a") == unavailable);
    CHECK(scene.machine.load().operations == 0);
    CHECK_FALSE(scene.machine.has_output());
    scene.await();
    CHECK(scene.actions() == "find");
}

TEST_CASE("connection_fsm: a connection that is lost fails what was sent, and keeps what was not") {
    scene scene;
    scene.come_to(3);
    scene.submit("sent");
    CHECK(scene.output() == "sent");
    scene.submit("unsent");
    scene.fail();
    CHECK(scene.actions() == "hang up failed, " + told(redis_problem::lost) + ", doubt 1");
    CHECK(scene.told.at("sent") == unavailable);
    CHECK_FALSE(scene.told.contains("unsent"));
    CHECK(scene.output().empty());
    scene.await();
    CHECK(scene.actions() == "find");
    scene.find();
    scene.connect();
    CHECK(scene.output() == ask_info);
    scene.receive(info());
    CHECK(scene.output() == "unsent");
}

TEST_CASE("connection_fsm: events of an attempt that is over change nothing") {
    int const step = GENERATE(0, 1, 2, 3);
    scene scene;
    scene.come_to(step);
    auto const old = scene.attempt;
    scene.fail();
    scene.await();
    scene.actions();
    REQUIRE(scene.attempt != old);
    int const next = GENERATE(0, 1, 2, 3);
    CAPTURE(step, next);
    if (next > 0) scene.find();
    if (next > 1) scene.connect();
    if (next > 2) scene.receive(info());
    scene.actions();
    auto const pending = scene.output();
    auto const due = scene.machine.next_time();
    scene.machine.on_found(old, {"other", 9}, scene.now);
    scene.machine.on_connected(old, {}, scene.now);
    scene.machine.on_bytes(old, "+OK\r\n", scene.now);
    scene.machine.on_bytes(old, "nonsense", scene.now);
    scene.machine.on_failed(old, redis_problem::unreachable, {}, scene.now);
    CHECK(scene.actions().empty());
    CHECK(scene.output().empty());
    CHECK(scene.machine.next_time() == due);
    CHECK(pending == (next >= 2 ? ask_info : ""));
}

TEST_CASE("connection_fsm: events that do not fit the step change nothing") {
    int const step = GENERATE(0, 1, 2, 3);
    CAPTURE(step);
    scene scene;
    scene.come_to(step);
    if (step != 0) scene.find(9);
    if (step != 1) scene.connect();
    if (step < 2) scene.receive(info());
    scene.machine.start(scene.now);
    CHECK(scene.actions().empty());
    CHECK(scene.output().empty());
}

TEST_CASE("connection_fsm: a server that may not be used is told of, and left") {
    scene scene;
    scene.come_to(2);
    auto const [answer, problem] =
        GENERATE(std::pair(info("slave"), told(redis_problem::not_ready)),
                 std::pair(info("master", "allkeys-lru"), told(redis_problem::evicts)),
                 std::pair(std::string("-NOAUTH Authentication required.\r\n"),
                           told(redis_problem::not_permitted) + " NOAUTH Authentication required."),
                 std::pair(std::string("HTTP/1.1 400 Bad Request\r\n\r\n"), told(redis_problem::wrong_protocol)));
    scene.receive(answer);
    bool const is_protocol = answer.starts_with("HTTP");
    CHECK(scene.actions() ==
          (is_protocol ? "hang up failed, " + problem + ", doubt 1" : problem + ", hang up failed, doubt 1"));
}

TEST_CASE("connection_fsm: replies that cannot be trusted end the connection") {
    scene scene;
    scene.come_to(3);
    scene.submit("a");
    CHECK(scene.output() == "a");
    auto const [bytes, problem] = GENERATE(std::pair("+nonsense\r\n", redis_problem::lost),
                                           std::pair("+yes\r\n+and more\r\n", redis_problem::lost),
                                           std::pair("?\r\n", redis_problem::wrong_protocol));
    scene.receive(bytes);
    CHECK(scene.actions() == "hang up failed, " + told(problem) + ", doubt 1");
    CHECK(scene.told.contains("a"));
}

TEST_CASE("connection_fsm: an answer that comes too late is doubted, and none at all ends the connection") {
    scene scene;
    scene.come_to(3);
    scene.submit("a");
    CHECK(scene.output() == "a");
    scene.await();
    CHECK(scene.told.at("a") == timed_out);
    CHECK(scene.actions() == "doubt 1");
    scene.await();
    CHECK(scene.actions() == "hang up failed, " + told(redis_problem::lost) + ", doubt 1");
    CHECK(scene.machine.load().operations == 0);
}

TEST_CASE("connection_fsm: pauses grow while attempts fail, and are short again after a connection that has worked") {
    scene scene;
    scene.machine.start(scene.now);
    scene.actions();
    auto longest = 0ms;
    auto const pause = [&] {
        auto const before = scene.now;
        scene.await();
        scene.actions();
        return std::chrono::duration_cast<std::chrono::milliseconds>(scene.now - before);
    };
    for (int number = 0; number < 30; ++number) {
        scene.fail();
        scene.actions();
        auto const passed = pause();
        CHECK(passed >= 20ms);
        CHECK(passed <= 1000ms);
        longest = std::max(longest, passed);
    }
    CHECK(longest > 300ms);
    bool const works_long = GENERATE(false, true);
    // Until the next pause would be long.
    for (int number = 0; number < 200; ++number) {
        scene.fail();
        scene.actions();
        if (pause() > 700ms) break;
    }
    scene.find();
    scene.connect();
    scene.output();
    scene.receive(info());
    if (works_long) scene.pass(2s);
    scene.fail();
    scene.actions();
    auto const passed = pause();
    if (works_long) CHECK(passed <= 60ms);
}

TEST_CASE("connection_fsm: health is checked again and again, and a server that fails it is left") {
    auto options = quiet_options();
    options.health_interval = 10s;
    scene scene(options);
    scene.come_to(3);
    for (int number = 0; number < 3; ++number) {
        scene.pass(10s);
        CHECK(scene.output() == ask_info);
        scene.receive(info());
        CHECK(scene.actions().empty());
        CHECK(scene.machine.load().operations == 0);
    }
    scene.pass(9999ms);
    CHECK(scene.output().empty());
    scene.pass(1ms);
    CHECK(scene.output() == ask_info);
    scene.receive(info("slave"));
    CHECK(scene.actions() ==
          told(redis_problem::not_ready) + ", hang up failed, " + told(redis_problem::lost) + ", doubt 1");
}

TEST_CASE("connection_fsm: moves to another server from any step, but not while it asks where that is") {
    int const step = GENERATE(0, 1, 2, 3);
    CAPTURE(step);
    scene scene;
    scene.come_to(step);
    scene.submit("sent");
    scene.output();
    scene.machine.move_to({"host", 2}, scene.now);
    if (step == 0) {
        CHECK(scene.actions().empty());
        return;
    }
    CHECK(scene.actions() == (step == 3 ? "hang up, " + told(redis_problem::lost) : "hang up"));
    CHECK(scene.told.contains("sent") == (step == 3));
    auto const before = scene.now;
    scene.await();
    CHECK(scene.now - before <= 60ms);
    CHECK(scene.actions() == "find");
}

TEST_CASE("connection_fsm: stays where it is when it is told to move there, and shortens a pause") {
    scene scene;
    scene.come_to(3);
    scene.machine.move_to({"host", 1}, scene.now);
    CHECK(scene.actions().empty());
    scene.fail();
    scene.actions();
    for (int number = 0; number < 200 && *scene.machine.next_time() - scene.now < 700ms; ++number) {
        scene.await();
        scene.actions();
        scene.fail();
        scene.actions();
    }
    REQUIRE(*scene.machine.next_time() - scene.now >= 700ms);
    scene.machine.move_to({"host", 1}, scene.now);
    CHECK(*scene.machine.next_time() - scene.now <= 60ms);
}

TEST_CASE("connection_fsm: an operation for another node leaves, before the connection that says so ends") {
    scene scene;
    scene.come_to(3);
    scene.submit("a");
    scene.submit("b");
    scene.output();
    scene.receive("-MOVED 1 :7001\r\n-CLUSTERDOWN The cluster is down\r\n:x\r\n");
    CHECK(scene.actions() ==
          "send to 7001, doubt 1, hang up failed, " + told(redis_problem::wrong_protocol) + ", doubt 1");
    REQUIRE(scene.redirected.size() == 1);
    CHECK(scene.redirected.front().where.to.host == "host");
    CHECK_FALSE(scene.told.contains("a"));
    CHECK(scene.machine.load().operations == 0);
}

TEST_CASE("connection_fsm: ends when nothing is pending, wherever it is") {
    int const step = GENERATE(0, 1, 2, 3);
    CAPTURE(step);
    scene scene;
    scene.come_to(step);
    bool const has_pending = GENERATE(false, true);
    if (has_pending) scene.submit("a");
    scene.machine.end();
    if (!has_pending) {
        CHECK(scene.actions() == "hang up, finish");
    } else {
        CHECK(scene.actions().empty());
        scene.fail();
        auto const all = scene.actions();
        CHECK(all.ends_with(step == 3 ? "doubt 1" : "finish"));
        if (step == 3) {  // it has not been sent, and may still be
            scene.await();
            scene.actions();
            scene.fail();
            CHECK(scene.actions().ends_with("finish"));
        }
        CHECK(scene.told.at("a") == unavailable);
    }
    CHECK_FALSE(scene.machine.next_time());
    scene.machine.start(scene.now);
    scene.machine.move_to({"host", 5}, scene.now);
    scene.machine.on_time(scene.now + 1h);
    scene.fail();
    CHECK(scene.actions().empty());
    scene.submit("late");
    CHECK(scene.told.at("late") == unavailable);
    CHECK(scene.machine.load().operations == 0);
}

TEST_CASE("connection_fsm: what has not been sent can be taken away, and what was sent is still answered") {
    scene scene;
    scene.come_to(3);
    scene.submit("sent");
    scene.output();
    scene.submit("unsent");
    CHECK(scene.machine.take_unsent().size() == 1);
    scene.machine.end();
    CHECK(scene.actions().empty());
    scene.receive("+yes\r\n");
    CHECK(scene.told.at("sent") == "yes");
    CHECK(scene.actions() == "hang up, finish");
}

TEST_CASE("pending_load: admits a holder where claims are refused, and one record of any size") {
    idempo::redis_options options;
    options.max_pending = 2;
    options.max_pending_bytes = 1000;
    class weighing final : public operation {
    public:
        weighing(operation_kind kind, std::size_t weight) : operation({}, {}, kind), weight_(weight) {}
        [[nodiscard]] std::size_t weight() const noexcept override { return weight_; }
        void append_command(std::string&, server_abilities) override {}
        reading read(reply_view) override { return reading::answered; }
        void settle() override {}
        void fail(idempo::error_code) override {}
        [[nodiscard]] bool is_settled() const noexcept override { return true; }

    private:
        std::size_t weight_;
    };
    pending_load load;
    auto const admits = [&](operation_kind kind, std::size_t weight) {
        return load.admit(weighing(kind, weight), options);
    };
    CHECK(admits(operation_kind::holder, 5000));
    CHECK_FALSE(admits(operation_kind::ordered, 100));
    CHECK_FALSE(admits(operation_kind::holder, 1025));
    CHECK(admits(operation_kind::holder, 1024));
    load.bytes = 0;
    CHECK_FALSE(admits(operation_kind::ordered, 100));
    CHECK(admits(operation_kind::holder, 100));
    CHECK(admits(operation_kind::holder, 100));
    CHECK_FALSE(admits(operation_kind::holder, 100));
    CHECK(load.operations == 4);
    CHECK(load.bytes == 200);
}
