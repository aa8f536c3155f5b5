// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include <idempo/redis/connection/pipeline.hpp>

#include <cctype>
#include <chrono>
#include <cstddef>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using namespace idempo::redis;

namespace {

/// Asks for its name until the reply is not "again" or "unknown", and remembers what became of it. After "unknown" it
/// adds a plus sign, its source, unless another one has brought that. A claim asks for its name in capitals in its
/// second step, and in its only one where there is no first. After the reply "large" it fetches a record: it asks for
/// its name and a question mark.
class fake_operation final : public operation {
public:
    using journal = std::map<std::string, std::string>;

    struct traits {
        operation_kind kind = operation_kind::ordered;
        bool is_claim = false;
        unsigned char owner = 0;
        std::size_t record_bytes = 0;
        std::string wants{};
    };

    fake_operation(std::string name, unsigned char key, journal& told, traits is)
        : operation({{key}}, {}, is.kind),
          name_(std::move(name)),
          told_(told),
          is_claim_(is.is_claim),
          record_bytes_(is.record_bytes),
          wants_(std::move(is.wants)) {
        owner_.bytes[0] = is.owner;
    }

    void append_command(std::string& to, server_abilities abilities) override {
        is_in_first_step_ = is_claim_ && !needs_second_ && abilities.set_nx_get;
        auto text = name_;
        if (is_fetching_) text += '?';
        if (is_claim_ && !is_in_first_step_ && !is_fetching_) text[0] = static_cast<char>(std::toupper(text[0]));
        if (is_unknown_ && !abilities.has_scripts) text += '+';
        to += text + ' ';
    }
    [[nodiscard]] bool is_in_first_step() const noexcept override { return is_in_first_step_; }
    void skip_to_second_step() override { needs_second_ = true; }
    [[nodiscard]] idempo::fencing_token const* owner() const noexcept override { return &owner_; }
    reading read(reply_view answer) override {
        text_ = answer.text();
        if (text_ == "large") {
            is_fetching_ = true;
            return reading::fetch;
        }
        if (text_ == "again" || text_ == "gone") {
            needs_second_ = true;
            is_fetching_ = false;
            return reading::ask_again;
        }
        is_unknown_ = text_ == "unknown";
        if (is_unknown_) return reading::script_unknown;
        if (text_ == "written") return reading::written;
        return text_ == "wrong" ? reading::wrong_connection : reading::answered;
    }
    void settle() override { tell(text_); }
    void fail(idempo::error_code error) override { tell(error.message()); }
    [[nodiscard]] bool is_settled() const noexcept override { return is_settled_; }
    [[nodiscard]] std::size_t record_bytes() const noexcept override {
        return is_claim_ && !is_fetching_ ? 0 : record_bytes_;
    }
    [[nodiscard]] std::string_view wanted_record() const noexcept override {
        return is_fetching_ ? std::string_view(wants_) : std::string_view();
    }
    bool share(operation const& fetched) override {
        auto const& text = static_cast<fake_operation const&>(fetched).text_;
        if (text == "gone" || text == "wrong") return false;
        text_ = "shared " + text;
        return true;
    }

private:
    void tell(std::string const& what) {
        REQUIRE_FALSE(is_settled_);
        is_settled_ = true;
        told_[name_] = what;
    }

    std::string name_;
    journal& told_;
    bool is_claim_;
    std::size_t record_bytes_;
    std::string wants_;
    bool is_fetching_ = false;
    bool is_unknown_ = false;
    idempo::fencing_token owner_{};
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

    /// A claim that will be told of a large record.
    void claim_large(std::string const& name, unsigned char key, std::string const& wants = "x",
                     std::size_t record_bytes = 900'000) {
        submit(name, key, {.is_claim = true, .record_bytes = record_bytes, .wants = wants});
    }

    /// Claims of one key that have been told of one large record, and have not asked for it.
    void meet_large(std::initializer_list<char const*> names) {
        for (auto const* const name : names) claim_large(name, 1);
        send();
        for (std::size_t told_of_it = 0; told_of_it < names.size(); ++told_of_it) REQUIRE(receive("large"));
    }

    void complete_large(std::string const& name, unsigned char key, std::size_t record_bytes = 1024 * 1024) {
        submit(name, key, {.kind = operation_kind::holder, .owner = key, .record_bytes = record_bytes});
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
    CHECK(all.send() == "a+ c D ");
    for (std::string const name : {"a", "c", "d"}) CHECK(all.receive("of " + name));
    CHECK(all.told == fake_operation::journal{{"a", "of a"}, {"b", "of b"}, {"c", "of c"}, {"d", "of d"}});
    CHECK(all.is_empty());
}

TEST_CASE("pipeline: after NOSCRIPT one operation brings the source, and those behind it do not wait for its answer") {
    scene all;
    for (auto const* const name : {"a", "b", "c"}) all.submit(name, 1);
    CHECK(all.send() == "a b c ");
    for (int refused = 0; refused < 3; ++refused) CHECK(all.receive("unknown"));
    CHECK(all.send(3) == "a+ ");
    CHECK(all.line.has_sendable());
    CHECK(all.send() == "b c ");
    CHECK(all.receive("of a"));

    SECTION("the server forgets it again") {
        CHECK(all.receive("unknown"));
        CHECK(all.send().empty());
        CHECK(all.receive("unknown"));
        CHECK(all.send() == "b+ c ");
    }
    SECTION("another connection may lead to another server") {
        CHECK(all.receive("unknown"));
        all.line.disconnect();
        all.submit("d", 2);
        CHECK(all.send() == "b+ d ");
        CHECK(all.receive("of b"));
        CHECK(all.receive("of d"));
        CHECK(all.is_empty());
        return;
    }
    CHECK(all.receive("of b"));
    CHECK(all.receive("of c"));
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
    CHECK(all.send() == "a+ ");
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
        CHECK(here.send() == "*1\r\n$6\r\nASKING\r\na+ ");
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

TEST_CASE("pipeline: claims that want one large record share its reply") {
    scene scene;
    for (auto const* const name : {"a", "b", "c"}) scene.claim_large(name, 1);
    CHECK(scene.send() == "A B C ");
    for (int i = 0; i < 3; ++i) REQUIRE(scene.receive("large"));
    CHECK(scene.send() == "a? ");
    scene.claim_large("d", 1);  // comes while the record is on its way
    CHECK(scene.send() == "D ");
    REQUIRE(scene.receive("record"));
    CHECK(scene.told == fake_operation::journal{{"a", "record"}, {"b", "shared record"}, {"c", "shared record"}});

    REQUIRE(scene.receive("large"));
    CHECK(scene.send() == "d? ");
    REQUIRE(scene.receive("record"));
    CHECK(scene.told["d"] == "record");
    CHECK(scene.is_empty());
}

TEST_CASE("pipeline: claims of one key that want different records do not share") {
    scene scene;
    scene.claim_large("a", 1, "x");
    scene.claim_large("b", 1, "y");
    CHECK(scene.send() == "A B ");
    REQUIRE(scene.receive("large"));
    REQUIRE(scene.receive("large"));
    CHECK(scene.send() == "a? b? ");
    REQUIRE(scene.receive("one"));
    REQUIRE(scene.receive("two"));
    CHECK(scene.told == fake_operation::journal{{"a", "one"}, {"b", "two"}});
    CHECK(scene.is_empty());
}

TEST_CASE("pipeline: when a large record is gone each claim asks anew") {
    scene scene;
    scene.meet_large({"a", "b"});
    CHECK(scene.send() == "a? ");
    REQUIRE(scene.receive("gone"));
    CHECK(scene.send() == "B A ");
    REQUIRE(scene.receive("granted"));
    REQUIRE(scene.receive("in flight"));
    CHECK(scene.told == fake_operation::journal{{"b", "granted"}, {"a", "in flight"}});
    CHECK(scene.is_empty());
}

TEST_CASE("pipeline: a record is fetched for those who wait, whatever becomes of the claim that asks") {
    scene scene;
    scene.claim_large("a", 1);
    scene.send();
    REQUIRE(scene.receive("large"));
    scene.pass(600ms);
    scene.claim_large("b", 1);

    SECTION("it times out before it is sent") {
        std::string sent = scene.send(1);
        CHECK(sent == "a? ");
        sent = scene.send();
        CHECK(sent == "B ");
        REQUIRE(scene.told.empty());
        scene.pass(400ms);
        CHECK(scene.told == fake_operation::journal{{"a", timed_out}});
        REQUIRE(scene.receive("record"));  // too late for one, and the other has not been told of it
        REQUIRE(scene.receive("large"));
        CHECK(scene.send() == "b? ");
        REQUIRE(scene.receive("record"));
        CHECK(scene.told["b"] == "record");
    }
    SECTION("it times out while another shares its reply") {
        CHECK(scene.send() == "a? B ");
        scene.claim_large("c", 1);
        CHECK(scene.send() == "C ");
        scene.pass(400ms);
        CHECK(scene.told == fake_operation::journal{{"a", timed_out}});
        REQUIRE(scene.receive("record"));
        REQUIRE(scene.receive("large"));
        REQUIRE(scene.receive("large"));
        CHECK(scene.send() == "b? ");
        REQUIRE(scene.receive("record"));
        CHECK(scene.told["b"] == "record");
        CHECK(scene.told["c"] == "shared record");
    }
    SECTION("the server sends it elsewhere") {
        CHECK(scene.send() == "a? B ");
        REQUIRE(scene.receive_raw("-MOVED 1 127.0.0.1:7000\r\n"));
        auto moved = scene.line.take_redirected();
        REQUIRE(moved.size() == 1);
        moved.front().redirected->fail(idempo::error::store_unavailable);
        REQUIRE(scene.receive("large"));
        CHECK(scene.send() == "b? ");
        REQUIRE(scene.receive("record"));
        CHECK(scene.told["b"] == "record");
    }
    CHECK(scene.is_empty());
}

TEST_CASE("pipeline: a shared reply outlives the claim that asked for it") {
    scene scene;
    scene.claim_large("a", 1);
    scene.send();
    scene.pass(600ms);
    scene.claim_large("b", 1);
    CHECK(scene.send() == "A B ");
    REQUIRE(scene.receive_raw("$-1\r\n"));
    for (int i = 0; i < 2; ++i) REQUIRE(scene.receive("large"));

    SECTION("sent") { CHECK(scene.send() == "a? "); }
    SECTION("not sent yet") {}
    scene.pass(400ms);
    CHECK(scene.told == fake_operation::journal{{"a", timed_out}});
    scene.send();
    REQUIRE(scene.receive("record"));
    CHECK(scene.told["b"] == "shared record");
    CHECK(scene.is_empty());
}

TEST_CASE(
    "pipeline: with the connection goes the claim that has asked for a record, and those who shared it ask again") {
    scene scene;
    scene.meet_large({"a", "b", "c"});
    CHECK(scene.send() == "a? ");
    scene.line.disconnect();
    CHECK(scene.told == fake_operation::journal{{"a", unavailable}});
    CHECK(scene.send() == "b? ");
    REQUIRE(scene.receive("record"));
    CHECK(scene.told["b"] == "record");
    CHECK(scene.told["c"] == "shared record");
    CHECK(scene.is_empty());
}

TEST_CASE("pipeline: claims that share a record are sent elsewhere together") {
    scene scene;
    scene.meet_large({"a", "b", "c"});
    CHECK(scene.send() == "a? ");
    if (GENERATE(false, true)) scene.pass(1s);  // nobody waits any more
    bool const is_over = !scene.told.empty();
    REQUIRE(scene.receive_raw("-MOVED 1 127.0.0.1:7000\r\n"));
    auto moved = scene.line.take_redirected();
    CHECK(moved.size() == (is_over ? 0 : 3));
    for (auto& each : moved) scene.submit(std::move(each.redirected));
    CHECK(scene.send() == (is_over ? "" : "a? "));
    if (!is_over) REQUIRE(scene.receive("record"));
    CHECK(scene.told["c"] == (is_over ? timed_out : "shared record"));
    CHECK(scene.is_empty());
}

TEST_CASE("pipeline: claims that share a record leave together") {
    scene scene;
    scene.meet_large({"a", "b"});
    SECTION("when all fail") {
        scene.line.fail_all(idempo::error::store_unavailable);
        CHECK(scene.told == fake_operation::journal{{"a", unavailable}, {"b", unavailable}});
    }
    SECTION("when others may send them, who share it, too") {
        auto unsent = scene.line.take_unsent();
        REQUIRE(unsent.size() == 2);
        CHECK(scene.is_empty());
        for (auto& each : unsent) scene.submit(std::move(each));
        CHECK(scene.send() == "a? ");
        REQUIRE(scene.receive("record"));
        CHECK(scene.told == fake_operation::journal{{"a", "record"}, {"b", "shared record"}});
    }
    CHECK(scene.is_empty());
}

TEST_CASE("pipeline: only some MiB of large records are under way, and the rest holds back nobody") {
    scene scene;
    for (unsigned char key = 1; key <= 6; ++key)
        scene.complete_large(std::string(1, static_cast<char>('a' + key)), key);
    scene.submit("small", 7);
    CHECK(scene.send() == "b c d e small ");
    CHECK_FALSE(scene.line.has_sendable());
    REQUIRE(scene.receive("done"));
    CHECK(scene.line.has_sendable());
    CHECK(scene.send() == "f ");
    scene.line.disconnect();
    CHECK(scene.send() == "g ");
    REQUIRE(scene.receive("done"));
    CHECK(scene.is_empty());
}

TEST_CASE("pipeline: a record that is larger than what may be under way is sent alone") {
    scene scene;
    scene.complete_large("a", 1, 1024);
    scene.complete_large("b", 2, 64 * 1024 * 1024);
    scene.complete_large("c", 3, 1024);
    CHECK(scene.send() == "a ");
    REQUIRE(scene.receive("done"));
    CHECK(scene.send() == "b ");
    REQUIRE(scene.receive("done"));
    CHECK(scene.send() == "c ");
    REQUIRE(scene.receive("done"));
    CHECK(scene.is_empty());
}

TEST_CASE("pipeline: what a holder submits after a large record is sent after it") {
    scene scene;
    scene.complete_large("a", 1, 4 * 1024 * 1024);
    scene.complete_large("b", 2, 4 * 1024 * 1024);
    scene.complete("own", 2, 2);
    scene.complete("rival", 2, 3);
    CHECK(scene.send() == "a rival ");
    REQUIRE(scene.receive("done"));
    CHECK(scene.send() == "b own ");
    for (int i = 0; i < 3; ++i) REQUIRE(scene.receive("done"));
    CHECK(scene.is_empty());
}

TEST_CASE("pipeline: what waits for large records does not time out while they come, and not for ever") {
    scene scene;
    constexpr int records = 15;
    for (unsigned char key = 1; key <= records; ++key)
        scene.complete_large(std::string(1, static_cast<char>('a' + key)), key, 4 * 1024 * 1024);
    scene.submit("small", 99);
    scene.send();
    for (int i = 0; i < 9; ++i) {
        scene.pass(900ms);
        REQUIRE(scene.receive("done"));
        if (i == 0) REQUIRE(scene.receive("done"));  // the small one, in time
        scene.send();
    }
    CHECK(scene.told.size() == 10);
    CHECK(scene.told["small"] == "done");
    scene.pass(900ms);
    CHECK(scene.told.size() == 10);
    SECTION("ten timeouts are the most") {
        REQUIRE(scene.receive("done"));
        scene.send();
        scene.pass(900ms);
        REQUIRE(scene.receive("done"));
        scene.pass(100ms);
        CHECK(scene.told.size() == records + 1);
        CHECK(scene.told["p"] == timed_out);
    }
    SECTION("one without an answer is enough") {
        scene.pass(100ms);
        CHECK(scene.told.size() == records + 1);
        CHECK(scene.told["k"] == timed_out);
        REQUIRE(scene.receive("done"));
    }
}
