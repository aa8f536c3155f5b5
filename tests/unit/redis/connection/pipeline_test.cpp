// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include <idempo/redis/connection/pipeline.hpp>

#include <cctype>
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

/// Asks for its name until the reply is not "again" or "unknown", and remembers what became of it. A claim asks for its
/// name in capitals in its second step, and in its only one where there is no first.
class fake_operation final : public operation {
public:
    using journal = std::map<std::string, std::string>;

    struct traits {
        operation_kind kind = operation_kind::ordered;
        bool is_claim = false;
        unsigned char owner = 0;
    };

    fake_operation(std::string name, unsigned char key, journal& told, traits is)
        : operation({{key}}, {}, is.kind),
          name_(std::move(name)),
          told_(told),
          is_claim_(is.is_claim) {
        owner_.bytes[0] = is.owner;
    }

    void append_command(std::string& to, server_abilities abilities) override {
        is_in_first_step_ = is_claim_ && !needs_second_ && abilities.set_nx_get;
        auto text = name_;
        if (is_claim_ && !is_in_first_step_) text[0] = static_cast<char>(std::toupper(text[0]));
        to += text + ' ';
    }
    [[nodiscard]] bool is_in_first_step() const noexcept override { return is_in_first_step_; }
    void skip_to_second_step() override { needs_second_ = true; }
    [[nodiscard]] idempo::token const* owner() const noexcept override { return &owner_; }
    reading read(reply_view answer) override {
        text_ = answer.text();
        if (text_ == "again") {
            needs_second_ = true;
            return reading::ask_again;
        }
        if (text_ == "unknown") return reading::script_unknown;
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
    bool is_claim_;
    idempo::token owner_{};
    bool is_in_first_step_ = false;
    bool needs_second_ = false;
    std::string text_;
    bool is_settled_ = false;
};

class scene {
public:
    explicit scene(unsigned replicas = 0) : line(1s, load, {replicas, 100ms}) {}

    void submit(std::string const& name, unsigned char key, fake_operation::traits is = {}) {
        submit(std::make_unique<fake_operation>(name, key, told, is));
    }

    void submit(std::unique_ptr<operation> submitted) {
        ++load.operations;
        load.bytes += submitted->weight();
        line.submit(std::move(submitted), now);
    }

    void claim(std::string const& name, unsigned char key, unsigned char owner = 0) {
        submit(name, key, {.is_claim = true, .owner = owner});
    }

    void complete(std::string const& name, unsigned char key, unsigned char owner) {
        submit(name, key, {.kind = operation_kind::holder, .owner = owner});
    }

    std::string send(std::size_t max_bytes = pipeline::no_limit) {
        std::string commands;
        line.send(commands, {.set_nx_get = true}, now, max_bytes);
        return commands;
    }

    [[nodiscard]] bool is_empty() const { return load.operations == 0 && load.bytes == 0 && !line.next_deadline(); }

    bool receive(std::string const& text) { return receive_raw('+' + text + "\r\n"); }

    bool receive_raw(std::string const& bytes) {
        reply_reader reader;
        reader.feed(bytes);
        auto const found = reader.next();
        return line.receive(reply_view(found.get()), now);
    }

    void pass(std::chrono::milliseconds span) {
        now += span;
        line.expire(now);
    }

    pending_load load;
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
    CHECK(all.is_empty());
}

TEST_CASE("pipeline: an answer to nothing condemns the connection") {
    scene all;
    CHECK_FALSE(all.receive("OK"));
    all.submit("a", 1);
    CHECK_FALSE(all.receive("OK"));  // not sent yet
    CHECK(all.told.empty());
}

TEST_CASE("pipeline: operations of one key are sent at once, in the order of their submission") {
    scene all;
    all.claim("a", 1);
    CHECK(all.send() == "a ");
    all.submit("b", 1);
    all.submit("c", 2);
    all.submit("d", 1);
    CHECK(all.send() == "A b c d ");  // a's second step, whatever the first is answered
    CHECK(all.receive_raw("$-1\r\n"));
    CHECK(all.told.empty());
    for (std::string const name : {"a", "b", "c", "d"}) CHECK(all.receive("of " + name));
    CHECK(all.told == fake_operation::journal{{"a", "of a"}, {"b", "of b"}, {"c", "of c"}, {"d", "of d"}});
    CHECK(all.is_empty());
}

TEST_CASE("pipeline: a claim that finds its key busy has one step") {
    scene all;
    all.claim("first", 1);
    all.claim("second", 1);
    all.claim("other", 2);
    CHECK(all.send() == "First Second other ");
    CHECK(all.receive("1"));
    CHECK(all.receive("2"));
    CHECK(all.receive("3"));
    all.claim("third", 1);
    CHECK(all.send() == "third ");  // nobody is in its way any more
    CHECK(all.receive("4"));
    CHECK(all.is_empty());
}

TEST_CASE("pipeline: a claim whose first step leaves the answer open holds back nobody") {
    scene all;
    all.claim("a", 1);
    all.claim("b", 2);
    CHECK(all.send() == "a b ");
    CHECK(all.receive("again"));
    all.submit("c", 1);
    CHECK(all.send() == "A c ");
    CHECK(all.receive("of b"));
    CHECK(all.receive("of a"));
    CHECK(all.receive("of c"));
    CHECK(all.told == fake_operation::journal{{"a", "of a"}, {"b", "of b"}, {"c", "of c"}});
    CHECK(all.is_empty());
}

TEST_CASE("pipeline: the reply to a first step that no longer matters is still one to that command") {
    scene all;
    auto const [reply, goes_on] = GENERATE(table<std::string, bool>({{"$-1\r\n", true},
                                                                     {"$3\r\nabc\r\n", true},
                                                                     {"-OOM command not allowed\r\n", true},
                                                                     {"-MOVED 7 host:1\r\n", true},
                                                                     {"-READONLY You can't write\r\n", false},
                                                                     {":1\r\n", false}}));
    CAPTURE(reply);
    all.claim("a", 1);
    all.send();
    all.submit("b", 1);
    all.send();
    CHECK(all.receive_raw(reply) == goes_on);
    CHECK(all.line.take_redirected().empty());
    all.line.disconnect();
    CHECK(all.told == fake_operation::journal{{"a", unavailable}, {"b", unavailable}});
    CHECK(all.is_empty());
}

TEST_CASE("pipeline: a first step that has timed out has no second one") {
    scene all;
    all.claim("a", 1);
    all.send();
    all.pass(1s);
    all.submit("abandon", 1);
    CHECK(all.send() == "abandon ");
    CHECK(all.receive("again"));
    CHECK(all.send().empty());
    CHECK(all.receive("done"));
    CHECK(all.told == fake_operation::journal{{"a", timed_out}, {"abandon", "done"}});
    CHECK(all.is_empty());
}

TEST_CASE("pipeline: after NOSCRIPT nothing is sent until all is answered, and then in the same order") {
    scene all;
    all.submit("a", 1);
    all.submit("b", 2);
    all.submit("c", 1);
    CHECK(all.send() == "a b c ");
    CHECK(all.receive("unknown"));
    all.claim("d", 1);
    CHECK_FALSE(all.line.has_sendable());
    CHECK(all.send().empty());
    CHECK(all.receive("of b"));
    CHECK(all.send().empty());
    CHECK(all.receive("unknown"));
    CHECK(all.line.has_sendable());
    CHECK(all.send() == "a c D ");
    for (std::string const name : {"a", "c", "d"}) CHECK(all.receive("of " + name));
    CHECK(all.told == fake_operation::journal{{"a", "of a"}, {"b", "of b"}, {"c", "of c"}, {"d", "of d"}});
    CHECK(all.is_empty());
}

TEST_CASE("pipeline: no more is sent than there is room for, and holders overtake what waits then") {
    scene all;
    all.claim("one", 1, 'x');
    all.claim("two", 1, 'y');
    all.claim("three", 1, 'z');
    CHECK(all.send(4) == "One ");
    CHECK(all.line.has_sendable());
    all.complete("complete", 1, 'x');
    SECTION("what others have claimed") { CHECK(all.send() == "complete Two Three "); }
    SECTION("not their own claim") {
        all.complete("hasty", 1, 'z');
        CHECK(all.send() == "complete Two Three hasty ");
    }
    SECTION("what another key has waiting") {
        all.complete("other", 2, 'x');
        CHECK(all.send() == "complete other Two Three ");
    }
    CHECK_FALSE(all.line.has_sendable());
    all.line.fail_all(idempo::error::store_unavailable);
    CHECK(all.is_empty());
}

TEST_CASE("pipeline: without congestion nothing is overtaken") {
    scene all;
    all.claim("one", 1, 'x');
    all.complete("complete", 1, 'y');
    CHECK(all.send() == "One complete ");
    CHECK(all.receive("1"));
    CHECK(all.receive("2"));
    CHECK(all.is_empty());
}

TEST_CASE("pipeline: an operation without time for its answer is not sent, except where its effect is what counts") {
    scene all;
    all.submit("a", 1);
    all.send();
    all.pass(100ms);
    CHECK(all.receive("of a"));  // 100 ms is the quickest that this server is
    all.submit("no longer", 2);
    all.complete("complete", 3, 'x');
    all.submit("just", 4);
    all.pass(901ms);
    all.submit("plenty", 5);
    CHECK(all.send() == "complete plenty ");
    CHECK(all.told.at("no longer") == timed_out);
    CHECK(all.told.at("just") == timed_out);
    CHECK(all.receive("1"));
    CHECK(all.receive("2"));
    CHECK(all.is_empty());
}

TEST_CASE("pipeline: one slow answer does not stop what comes after it") {
    scene all;
    all.submit("a", 1);
    all.send();
    all.pass(990ms);
    CHECK(all.receive("of a"));
    all.submit("b", 1);
    all.pass(400ms);
    CHECK(all.send() == "b ");
}

TEST_CASE("pipeline: operations without an order leave no trace of their key") {
    scene all;
    all.submit("a", 1, {.kind = operation_kind::unordered});
    all.claim("b", 1);
    CHECK(all.send() == "a b ");
    CHECK(all.receive("unknown"));
    CHECK(all.receive("of b"));
    CHECK(all.send() == "a ");
    CHECK(all.receive("of a"));
    CHECK(all.is_empty());
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
    CHECK(all.load.operations == 2);
    CHECK(all.receive("late"));
    CHECK(all.receive("of b"));
    CHECK(all.told == fake_operation::journal{{"a", timed_out}, {"b", "of b"}});
    CHECK(all.is_empty());
}

TEST_CASE("pipeline: one that has timed out holds back nobody and asks nothing more") {
    scene all;
    all.claim("claim", 1);
    all.send();
    all.pass(1s);
    all.submit("abandon", 1);
    CHECK(all.send() == "abandon ");
    CHECK(all.receive("unknown"));
    CHECK(all.send().empty());
    CHECK(all.receive("done"));
    CHECK(all.told.at("abandon") == "done");
    CHECK(all.is_empty());
}

TEST_CASE("pipeline: those that time out before they are sent are not sent") {
    scene all;
    all.submit("a", 1);
    all.send();
    all.submit("b", 1);
    all.pass(1s);
    CHECK(all.told == fake_operation::journal{{"a", timed_out}, {"b", timed_out}});
    CHECK(all.send().empty());
    CHECK(all.receive("late"));
    CHECK(all.is_empty());
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
    all.send();
    all.submit("behind", 1);
    all.submit("new", 2);
    all.line.disconnect();
    CHECK(all.told == fake_operation::journal{{"sent", unavailable}});
    CHECK(all.load.operations == 2);
    CHECK(all.send() == "behind new ");
    CHECK(all.receive("1"));
    CHECK(all.receive("2"));
    CHECK(all.told == fake_operation::journal{{"sent", unavailable}, {"new", "2"}, {"behind", "1"}});
}

TEST_CASE("pipeline: an asked-again command is not sent on another connection") {
    scene all;
    all.submit("a", 1);
    all.send();
    CHECK(all.receive("again"));
    all.line.fail_all(idempo::error::store_unavailable);
    CHECK(all.told == fake_operation::journal{{"a", unavailable}});
    CHECK(all.send().empty());
    CHECK(all.is_empty());
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
    CHECK(all.is_empty());
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
    CHECK(all.is_empty());
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
    CHECK(all.is_empty());
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
    CHECK(all.is_empty());
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

TEST_CASE("pipeline: what waits for replicas holds back nobody, and times out like the rest") {
    scene all(2);
    all.submit("a", 1);
    all.send();
    CHECK(all.receive("written"));
    all.submit("b", 1);
    CHECK(all.send() == "b " + wait_for_two);
    all.pass(1s);
    CHECK(all.told == fake_operation::journal{{"a", timed_out}, {"b", timed_out}});
    all.submit("abandon", 1);
    CHECK(all.send() == "abandon ");
    CHECK(all.receive("late"));
    CHECK(all.receive_raw(":2\r\n"));
    CHECK(all.receive("done"));
    CHECK(all.told.at("abandon") == "done");
    CHECK(all.is_empty());
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
    CHECK(all.is_empty());
    CHECK(all.send().empty());
}

TEST_CASE("pipeline: an operation that the server sends elsewhere leaves") {
    scene all;
    all.submit("a", 1);
    all.send();
    all.submit("b", 1);
    all.submit("c", 2);
    CHECK(all.receive_raw("-MOVED 7 host:1\r\n"));
    auto const away = all.line.take_redirected();
    REQUIRE(away.size() == 1);
    CHECK(away.front().where.slot == 7);
    CHECK_FALSE(away.front().redirected->is_settled());
    CHECK(all.line.take_redirected().empty());
    CHECK(all.load.operations == 2);
    CHECK(all.send() == "b c ");
    all.pass(100ms);
    CHECK_FALSE(all.told.contains("b"));
    all.pass(900ms);
    CHECK(all.told == fake_operation::journal{{"b", timed_out}, {"c", timed_out}});
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
    CHECK(all.load.operations == 2);
    CHECK(all.line.take_unsent().empty());

    scene there;
    there.now = all.now + 100ms;
    for (auto& each : unsent) there.submit(std::move(each));
    CHECK(there.send() == "b c behind b ");
    CHECK(there.receive("of b"));
    there.pass(900ms);  // they are as old as they were
    CHECK(all.told == fake_operation::journal{{"b", "of b"}, {"c", timed_out}, {"behind b", timed_out}});

    CHECK(all.receive("of sent"));
    CHECK(all.send() == "behind ");
    CHECK(all.receive("of behind"));
    CHECK(all.is_empty());
}

TEST_CASE("pipeline: one that has timed out is not sent elsewhere") {
    scene all;
    all.submit("a", 1);
    all.send();
    all.pass(1s);
    CHECK(all.receive_raw("-ASK 7 host:1\r\n"));
    CHECK(all.line.take_redirected().empty());
    CHECK(all.is_empty());
}

TEST_CASE("pipeline: an operation from another server keeps its deadline, and asks if it has to") {
    scene there;
    there.submit("a", 1);
    there.send();
    CHECK(there.receive_raw("-ASK 7 host:1\r\n"));
    auto away = there.line.take_redirected();
    REQUIRE(away.size() == 1);

    scene here;
    here.now = there.now + 600ms;
    here.submit("younger", 1);
    CHECK(here.send() == "younger ");
    here.submit("youngest", 1);
    away.front().redirected->asks = true;
    here.submit(std::move(away.front().redirected));

    SECTION("it comes before those that wait for its key") {
        CHECK(here.send() == "*1\r\n$6\r\nASKING\r\na youngest ");
        CHECK(here.receive("of younger"));
        CHECK(here.receive("OK"));
        CHECK(here.receive("unknown"));
        CHECK(here.receive("of youngest"));
        CHECK(here.send() == "*1\r\n$6\r\nASKING\r\na ");
        CHECK(here.receive("OK"));
        CHECK(here.receive("of a"));
        CHECK(there.told == fake_operation::journal{{"a", "of a"}});
        CHECK(here.is_empty());
    }
    SECTION("it times out first, and nothing is stuck behind it") {
        here.pass(400ms);
        CHECK(there.told == fake_operation::journal{{"a", timed_out}});
        CHECK(here.told.empty());
        CHECK(here.send() == "youngest ");
        CHECK(here.receive("of younger"));
        CHECK(here.receive("of youngest"));
        CHECK(here.is_empty());
    }
    SECTION("a node that does not ask is out of step") {
        here.send();
        CHECK(here.receive("of younger"));
        CHECK_FALSE(here.receive("of a"));
    }
}
