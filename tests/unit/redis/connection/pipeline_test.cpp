#include "support/catch.hpp"
#include <idempo/redis/connection/pipeline.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using namespace idempo::redis;

namespace {

/// Asks for its name until the reply is not "again", and remembers what became of it.
class fake_operation final : public operation {
public:
    using journal = std::map<std::string, std::string>;

    fake_operation(std::string name, unsigned char key, journal& told)
        : operation({{key}}),
          name_(std::move(name)),
          told_(told) {}

    void append_command(std::string& to, server_abilities) override { to += name_ + ' '; }
    reading read(reply_view answer) override {
        text_ = answer.text();
        if (text_ == "again") return reading::ask_again;
        if (text_ == "written") return reading::written;
        return text_ == "wrong" ? reading::wrong_connection : reading::answered;
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

class scene {
public:
    explicit scene(unsigned replicas = 0) : line(1s, places, {replicas, 100ms}) {}

    void submit(std::string const& name, unsigned char key) {
        ++places;
        line.submit(std::make_unique<fake_operation>(name, key, told), now);
    }

    std::string send() {
        std::string commands;
        line.send(commands, {}, now);
        return commands;
    }

    bool receive(std::string const& text) { return receive_raw('+' + text + "\r\n"); }

    bool receive_raw(std::string const& bytes) {
        reply_reader reader;
        reader.feed(bytes);
        auto const found = reader.next();
        return line.receive(reply_view(found.get()));
    }

    void pass(std::chrono::milliseconds span) {
        now += span;
        line.expire(now);
    }

    std::atomic<std::size_t> places{0};
    fake_operation::journal told;
    time_point now{};
    pipeline line;
};

std::string const timed_out = make_error_code(idempo::error::store_timed_out).message();
std::string const unavailable = make_error_code(idempo::error::store_unavailable).message();

}  // namespace

TEST_CASE("pipeline: replies go to the commands in the order of sending") {
    scene all;
    all.submit("a", 1);
    all.submit("b", 2);
    CHECK(all.send() == "a b ");
    CHECK(all.send().empty());
    CHECK(all.receive("first"));
    CHECK(all.receive("second"));
    CHECK(all.told == fake_operation::journal{{"a", "first"}, {"b", "second"}});
    CHECK(all.places == 0);
}

TEST_CASE("pipeline: an answer to nothing condemns the connection") {
    scene all;
    CHECK_FALSE(all.receive("OK"));
    all.submit("a", 1);
    CHECK_FALSE(all.receive("OK"));  // not sent yet
    CHECK(all.told.empty());
}

TEST_CASE("pipeline: an operation of the same key waits until the one before it is settled") {
    scene all;
    all.submit("a", 1);
    all.submit("b", 1);
    all.submit("c", 2);
    all.submit("d", 1);
    CHECK(all.send() == "a c ");
    CHECK(all.receive("again"));
    CHECK(all.send() == "a ");
    CHECK(all.receive("of c"));
    CHECK(all.receive("of a"));
    CHECK(all.send() == "b ");
    CHECK(all.receive("of b"));
    CHECK(all.send() == "d ");
    CHECK(all.receive("of d"));
    CHECK(all.told == fake_operation::journal{{"a", "of a"}, {"b", "of b"}, {"c", "of c"}, {"d", "of d"}});
    CHECK(all.places == 0);
}

TEST_CASE("pipeline: one that has timed out keeps its place, and its late reply is dropped") {
    scene all;
    all.submit("a", 1);
    all.send();
    all.pass(500ms);
    all.submit("b", 2);
    all.send();
    all.pass(500ms);
    CHECK(all.told == fake_operation::journal{{"a", timed_out}});
    CHECK(all.places == 2);
    CHECK(all.receive("late"));
    CHECK(all.receive("of b"));
    CHECK(all.told == fake_operation::journal{{"a", timed_out}, {"b", "of b"}});
    CHECK(all.places == 0);
}

TEST_CASE("pipeline: one that has timed out holds back nobody and asks nothing more") {
    scene all;
    all.submit("claim", 1);
    all.send();
    all.pass(1s);
    all.submit("abandon", 1);
    CHECK(all.send() == "abandon ");
    CHECK(all.receive("again"));
    CHECK(all.send().empty());
    CHECK(all.receive("done"));
    CHECK(all.told.at("abandon") == "done");
    CHECK(all.places == 0);
}

TEST_CASE("pipeline: those that wait behind another time out with it, and are not sent") {
    scene all;
    all.submit("a", 1);
    all.submit("b", 1);
    all.send();
    all.pass(1s);
    CHECK(all.told == fake_operation::journal{{"a", timed_out}, {"b", timed_out}});
    CHECK(all.send().empty());
    CHECK(all.receive("late"));
    CHECK(all.places == 0);
}

TEST_CASE("pipeline: the head is overdue after twice the timeout") {
    scene all;
    CHECK_FALSE(all.line.next_deadline());
    all.submit("a", 1);
    CHECK(all.line.next_deadline() == all.now + 1s);
    all.send();
    all.pass(1s);
    CHECK_FALSE(all.line.is_overdue(all.now));
    CHECK(all.line.next_deadline() == all.now + 1s);
    all.pass(1s);
    CHECK(all.line.is_overdue(all.now));
}

TEST_CASE("pipeline: with the connection goes what was sent, and the rest stays") {
    scene all;
    all.submit("sent", 1);
    all.submit("behind", 1);
    all.send();
    all.submit("new", 2);
    all.line.disconnect();
    CHECK(all.told == fake_operation::journal{{"sent", unavailable}});
    CHECK(all.places == 2);
    CHECK(all.send() == "new behind ");
    CHECK(all.receive("1"));
    CHECK(all.receive("2"));
    CHECK(all.told == fake_operation::journal{{"sent", unavailable}, {"new", "1"}, {"behind", "2"}});
}

TEST_CASE("pipeline: an asked-again command is not sent on another connection") {
    scene all;
    all.submit("a", 1);
    all.send();
    CHECK(all.receive("again"));
    all.line.fail_all(idempo::error::store_unavailable);
    CHECK(all.told == fake_operation::journal{{"a", unavailable}});
    CHECK(all.send().empty());
    CHECK(all.places == 0);
}

TEST_CASE("pipeline: when all fail, each is told once") {
    scene all;
    all.submit("sent", 1);
    all.send();
    all.submit("behind", 1);
    all.submit("further behind", 1);
    all.submit("ready", 2);
    all.line.fail_all(idempo::error::store_unavailable);
    CHECK(all.told.size() == 4);
    CHECK(all.places == 0);
    all.submit("next", 1);
    CHECK(all.send() == "next ");
}

TEST_CASE("pipeline: a reply that makes no sense condemns the connection, also where nobody waits for it") {
    scene all;
    all.submit("a", 1);
    all.send();
    CHECK_FALSE(all.receive("wrong"));
    CHECK(all.told.at("a") == unavailable);
    all.submit("b", 1);
    all.send();
    all.pass(1s);
    CHECK_FALSE(all.receive("wrong"));
    CHECK(all.places == 0);
}

// WAIT 2 100, as hiredis writes it.
std::string const wait_for_two = "*3\r\n$4\r\nWAIT\r\n$1\r\n2\r\n$3\r\n100\r\n";

TEST_CASE("pipeline: what was written is told when enough replicas have it") {
    scene all(2);
    all.submit("a", 1);
    all.submit("b", 2);
    CHECK(all.send() == "a b ");
    CHECK(all.receive("written"));
    CHECK(all.receive("of b"));
    CHECK(all.told == fake_operation::journal{{"b", "of b"}});
    CHECK(all.send() == wait_for_two);
    CHECK(all.send().empty());
    CHECK(all.receive_raw(":2\r\n"));
    CHECK(all.told.at("a") == "written");
    CHECK(all.places == 0);
}

TEST_CASE("pipeline: what too few replicas have fails") {
    scene all(2);
    auto const answer = GENERATE(as<std::string>{}, ":1\r\n", "-ERR WAIT cannot be used with replica instances\r\n");
    all.submit("a", 1);
    all.send();
    CHECK(all.receive("written"));
    all.send();
    CHECK(all.receive_raw(answer));
    CHECK(all.told.at("a") == unavailable);
    CHECK(all.places == 0);
}

TEST_CASE("pipeline: a WAIT is for what had been written when it was sent") {
    scene all(2);
    all.submit("a", 1);
    all.submit("b", 2);
    all.submit("c", 3);
    all.send();
    CHECK(all.receive("written"));
    CHECK(all.receive("written"));
    CHECK(all.send() == wait_for_two);
    CHECK(all.receive("written"));
    CHECK(all.send() == wait_for_two);
    CHECK(all.receive_raw(":2\r\n"));
    CHECK(all.told == fake_operation::journal{{"a", "written"}, {"b", "written"}});
    CHECK(all.receive_raw(":0\r\n"));
    CHECK(all.told.at("c") == unavailable);
}

TEST_CASE("pipeline: nothing waits for replicas where nothing was written, or none are wanted") {
    scene all(2);
    all.submit("a", 1);
    all.send();
    CHECK(all.receive("found"));
    CHECK(all.send().empty());
    scene none;
    none.submit("a", 1);
    none.send();
    CHECK(none.receive("written"));
    CHECK(none.send().empty());
    CHECK(none.told.at("a") == "written");
}

TEST_CASE("pipeline: a key is held until the replicas have answered, or the operation has timed out") {
    scene all(2);
    all.submit("a", 1);
    all.send();
    CHECK(all.receive("written"));
    all.submit("b", 1);
    CHECK(all.send() == wait_for_two);
    all.pass(1s);
    CHECK(all.told == fake_operation::journal{{"a", timed_out}, {"b", timed_out}});
    all.submit("abandon", 1);
    CHECK(all.send() == "abandon ");
    CHECK(all.receive_raw(":2\r\n"));
    CHECK(all.receive("done"));
    CHECK(all.told.at("abandon") == "done");
    CHECK(all.places == 0);
}

TEST_CASE("pipeline: with the connection goes what the replicas had not answered for") {
    scene all(2);
    all.submit("a", 1);
    all.submit("b", 2);
    all.send();
    CHECK(all.receive("written"));
    all.send();
    CHECK(all.receive("written"));
    all.line.disconnect();
    CHECK(all.told == fake_operation::journal{{"a", unavailable}, {"b", unavailable}});
    CHECK(all.places == 0);
    CHECK(all.send().empty());
}

TEST_CASE("pipeline: an operation that the server sends elsewhere leaves") {
    scene all;
    all.submit("a", 1);
    all.submit("b", 1);
    all.submit("c", 2);
    all.send();
    CHECK(all.receive_raw("-MOVED 7 host:1\r\n"));
    auto const away = all.line.take_misdirected();
    REQUIRE(away.size() == 1);
    CHECK(away.front().where.slot == 7);
    CHECK_FALSE(away.front().misdirected->is_settled());
    CHECK(all.line.take_misdirected().empty());
    CHECK(all.places == 2);
    CHECK(all.receive("of c"));
    CHECK(all.send() == "b ");  // which waited for it
    all.pass(1s);
    CHECK(all.told == fake_operation::journal{{"b", timed_out}, {"c", "of c"}});
}

TEST_CASE("pipeline: what has not been sent can go elsewhere, in its order, and the rest stays") {
    scene all;
    all.submit("sent", 1);
    all.send();
    all.submit("behind", 1);
    all.pass(400ms);
    all.submit("b", 2);
    all.submit("c", 3);
    all.submit("behind b", 2);
    auto unsent = all.line.take_unsent();
    REQUIRE(unsent.size() == 3);
    CHECK(all.places == 2);
    CHECK(all.line.take_unsent().empty());

    scene there;
    there.now = all.now + 100ms;
    for (auto& each : unsent) {
        ++there.places;
        there.line.submit(std::move(each), there.now);
    }
    CHECK(there.send() == "b c ");
    CHECK(there.receive("of b"));
    CHECK(there.send() == "behind b ");
    there.pass(900ms);  // they are as old as they were
    CHECK(all.told == fake_operation::journal{{"b", "of b"}, {"c", timed_out}, {"behind b", timed_out}});

    CHECK(all.receive("of sent"));
    CHECK(all.send() == "behind ");
    CHECK(all.receive("of behind"));
    CHECK(all.places == 0);
}

TEST_CASE("pipeline: one that has timed out is not sent elsewhere") {
    scene all;
    all.submit("a", 1);
    all.send();
    all.pass(1s);
    CHECK(all.receive_raw("-ASK 7 host:1\r\n"));
    CHECK(all.line.take_misdirected().empty());
    CHECK(all.places == 0);
}

TEST_CASE("pipeline: an operation from another server keeps its deadline, and asks if it has to") {
    scene there;
    there.submit("a", 1);
    there.send();
    CHECK(there.receive_raw("-ASK 7 host:1\r\n"));
    auto away = there.line.take_misdirected();
    REQUIRE(away.size() == 1);

    scene here;
    here.now = there.now + 600ms;
    here.submit("younger", 1);
    here.submit("youngest", 1);
    here.submit("other", 2);
    CHECK(here.send() == "younger other ");
    away.front().misdirected->asks = true;
    ++here.places;
    here.line.submit(std::move(away.front().misdirected), here.now);

    SECTION("it comes before those that wait for its key") {
        CHECK(here.receive("of younger"));
        CHECK(here.send() == "*1\r\n$6\r\nASKING\r\na ");
        CHECK(here.receive("of other"));
        CHECK(here.receive("OK"));
        CHECK(here.receive("again"));
        CHECK(here.send() == "*1\r\n$6\r\nASKING\r\na ");
        CHECK(here.receive("OK"));
        CHECK(here.receive("of a"));
        CHECK(here.send() == "youngest ");
        CHECK(here.receive("of youngest"));
        CHECK(there.told == fake_operation::journal{{"a", "of a"}});
        CHECK(here.places == 0);
    }
    SECTION("it times out first, and nothing is stuck behind it") {
        here.pass(400ms);
        CHECK(there.told == fake_operation::journal{{"a", timed_out}});
        CHECK(here.told.empty());
        CHECK(here.send().empty());
        CHECK(here.receive("of younger"));
        CHECK(here.send() == "youngest ");
        CHECK(here.receive("of other"));
        CHECK(here.receive("of youngest"));
        CHECK(here.places == 0);
    }
    SECTION("a node that does not ask is out of step") {
        CHECK(here.receive("of younger"));
        here.send();
        CHECK(here.receive("of other"));
        CHECK_FALSE(here.receive("of a"));
    }
}
