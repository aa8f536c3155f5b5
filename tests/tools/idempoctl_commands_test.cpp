// SPDX-License-Identifier: MIT
#include "idempoctl/commands.hpp"

#include "support/catch.hpp"

#include "idempoctl/console.hpp"
#include "idempoctl/outcome.hpp"
#include "idempoctl/store_link.hpp"

#include <idempo/key.hpp>
#include <idempo/record/stored_response.hpp>
#include <idempo/stores/memory_store.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <variant>

namespace {

using namespace std::chrono_literals;
using namespace idempoctl;
using idempo::record_state;

/// The commands on a store in memory, with what a person types and reads.
class scene {
public:
    template <class Call>
    exit_code run(Call call) {
        in.str(typed);
        in.clear();
        out.str("");
        err.str("");
        console io{in, out, err, is_interactive, as_json, is_confirmed};
        try {
            call(link, io);
            return exit_code::done;
        } catch (failure const& error) {
            sentence = error.what();
            return error.code;
        }
    }

    idempo::fencing_token claim(std::string_view key, std::chrono::milliseconds lease) {
        idempo::error_code error;
        auto const by = idempo::make_fencing_token();
        static_cast<void>(records.claim({idempo::make_store_key("", "", key), {{1}}, by, lease, 1h}, error));
        return by;
    }

    void complete(std::string_view key, std::string_view body) {
        namespace http = boost::beast::http;
        http::response<http::string_body> answer(http::status::created, 11, std::string(body));
        answer.set("X-Test", "one");
        auto const by = claim(key, 1h);
        idempo::error_code error;
        static_cast<void>(records.complete(
            {idempo::make_store_key("", "", key), {{1}}, by, *idempo::make_record(answer, {}), 1h}, error));
    }

    void park(std::string_view key, std::string_view reason) {
        auto const by = claim(key, 1h);
        idempo::error_code error;
        static_cast<void>(
            records.park({idempo::make_store_key("", "", key), {{1}}, by, idempo::shared_bytes(reason), 1h}, error));
    }

    std::optional<idempo::record_info> look(std::string_view key) {
        idempo::error_code error;
        return records.peek(idempo::make_store_key("", "", key), error);
    }

    idempo::memory_store records;
    store_link link{"memory:", std::make_shared<server_report>(),
                    operated_store([this](boost::asio::any_io_executor executor) {
                        return idempo::any_store(records, std::move(executor));
                    })};
    std::istringstream in;
    std::ostringstream out;
    std::ostringstream err;
    std::string typed;
    std::string sentence;
    bool is_interactive = false;
    bool as_json = false;
    bool is_confirmed = true;
};

change_flags change(std::string key) { return {.key = {.key = std::move(key)}}; }

auto release(change_flags flags) {
    return [=](store_link& link, console& io) { run_release(link, io, flags); };
}
auto hold(std::string key) {
    return [=](store_link& link, console& io) { run_hold(link, io, {change(key), "look at the bank"}); };
}
auto forget(std::string key, bool is_forced = false) {
    return [=](store_link& link, console& io) { run_forget(link, io, {change(key), is_forced}); };
}
auto show(std::string key, bool with_body = false) {
    return [=](store_link& link, console& io) { run_show(link, io, {{.key = key}, with_body}); };
}
auto settle(std::string key) {
    return [=](store_link& link, console& io) {
        run_settle(link, io, {change(key), 201, "{}", {"Content-Type: application/json"}});
    };
}
auto list(list_filter filter = {}, std::size_t limit = 50, std::string after = {}) {
    return [=](store_link& link, console& io) { run_list(link, io, {filter, limit, after}); };
}

bool contains(std::string const& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("idempoctl: list shows what matches, and where to go on", "[idempoctl]") {
    scene with;
    with.claim("dead", 0ms);
    with.claim("live", 1h);
    with.park("held", "the bank\ndid not answer");
    with.complete("full", "secret");
    CHECK(with.run(list()) == exit_code::done);
    CHECK(contains(with.out.str(), "the bank\\x0adid not answer"));
    CHECK_FALSE(contains(with.out.str(), "secret"));

    with.as_json = true;
    CHECK(with.run(list({.has_ended_lease = true})) == exit_code::done);
    auto const digits = idempo::to_hex(idempo::make_store_key("", "", "dead").view());
    CHECK(with.out.str().find("{\"key\":\"" + digits) == 0);
    CHECK(std::string_view(with.out.str()).find('\n') == with.out.str().size() - 1);

    CHECK(with.run(list({}, 1)) == exit_code::done);
    REQUIRE(contains(with.err.str(), "there is more: --after "));
    auto after = with.err.str().substr(with.err.str().find("--after ") + 8);
    after.pop_back();
    auto const first = with.out.str();
    CHECK(with.run(list({}, 1, after)) == exit_code::done);
    CHECK(with.out.str() != first);
    CHECK(with.run(list({}, 1, "nonsense")) == exit_code::failed);
    CHECK(with.run(list({.older_than = 1s})) == exit_code::done);
    CHECK(contains(with.err.str(), "4 records were left out"));
}

TEST_CASE("idempoctl: show tells status and size, and the body only where it is asked for", "[idempoctl]") {
    scene with;
    with.complete("full", "secret");
    CHECK(with.run(show("full")) == exit_code::done);
    CHECK(contains(with.out.str(), "status    201\n"));
    CHECK_FALSE(contains(with.out.str(), "secret"));
    CHECK(with.run(show("full", true)) == exit_code::done);
    CHECK(contains(with.out.str(), "secret"));
    CHECK(contains(with.out.str(), "X-Test: one"));
    CHECK(with.look("full")->state == record_state::completed);
    CHECK(with.run(show("none")) == exit_code::no_record);

    with.claim("dead", 0ms);
    CHECK(with.run(show("dead")) == exit_code::done);
    CHECK(contains(with.out.str(), "its lease has ended"));
    CHECK(with.look("dead")->attempt == 1);
}

TEST_CASE("idempoctl: show tells the trace that made the record", "[idempoctl]") {
    constexpr std::string_view trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    scene with;
    auto const by = with.claim("traced", 1h);
    idempo::error_code error;
    auto const record = idempo::make_tombstone(201, trace);
    static_cast<void>(with.records.complete({idempo::make_store_key("", "", "traced"), {{1}}, by, record, 1h}, error));
    CHECK(with.run(show("traced")) == exit_code::done);
    CHECK(contains(with.out.str(), "trace     " + std::string(trace) + "\n"));
    with.as_json = true;
    CHECK(with.run(show("traced")) == exit_code::done);
    CHECK(contains(with.out.str(), "\"traceparent\":\"" + std::string(trace) + '"'));
    with.complete("full", "secret");
    CHECK(with.run(show("full")) == exit_code::done);
    CHECK_FALSE(contains(with.out.str(), "traceparent"));
}

TEST_CASE("idempoctl: a key is found by the digits that a log prints", "[idempoctl]") {
    scene with;
    with.claim("one", 1h);
    auto const digits = idempo::to_hex(idempo::make_store_key("", "", "one").view());
    auto const by_digits = [](std::string key) {
        return [=](store_link& link, console& io) { run_show(link, io, {{.key = key, .is_digest = true}, false}); };
    };
    CHECK(with.run(by_digits(digits.substr(0, 8))) == exit_code::done);
    CHECK(with.run(by_digits(digits)) == exit_code::done);
    CHECK(with.run(by_digits(digits.substr(0, 5))) == exit_code::wrong_usage);
    CHECK(with.run(by_digits("0000000z")) == exit_code::wrong_usage);
    CHECK(with.run(by_digits(digits.substr(0, 7) + (digits[7] == '0' ? "1" : "0"))) == exit_code::no_record);
}

TEST_CASE("idempoctl: release lets the next request run, and takes nothing from a handler at work", "[idempoctl]") {
    scene with;
    with.claim("dead", 0ms);
    with.claim("live", 1h);
    with.complete("full", "answer");
    CHECK(with.run(release(change("live"))) == exit_code::refused);
    CHECK(contains(with.sentence, "attempt 1 holds it for another"));
    CHECK(with.run(release(change("full"))) == exit_code::refused);
    auto other = change("dead");
    other.attempt = 7;
    CHECK(with.run(release(other)) == exit_code::refused);
    CHECK(with.look("dead"));
    CHECK(with.run(release(change("dead"))) == exit_code::done);
    CHECK(contains(with.err.str(), "action=release key="));
    CHECK(contains(with.err.str(), "result=done"));
    CHECK(contains(with.err.str(), "idempo released_by_hand key="));
    CHECK_FALSE(with.look("dead"));
    CHECK(with.look("live")->attempt == 1);
}

TEST_CASE("idempoctl: hold parks a record whose process has died", "[idempoctl]") {
    scene with;
    with.claim("dead", 0ms);
    CHECK(with.run(hold("dead")) == exit_code::done);
    auto const info = with.look("dead");
    REQUIRE(info);
    CHECK(info->state == record_state::parked);
    CHECK(info->attempt == 2);
    CHECK(info->reason == "look at the bank");
    CHECK(with.run(hold("dead")) == exit_code::refused);
    CHECK(with.run(hold("none")) == exit_code::no_record);
}

TEST_CASE("idempoctl: settle gives a parked record its answer", "[idempoctl]") {
    scene with;
    with.park("held", "why");
    CHECK(with.run(settle("held")) == exit_code::done);
    CHECK(contains(with.err.str(), "idempo answered_by_hand key="));
    CHECK(contains(with.err.str(), " attempt=1 status=201\n"));
    CHECK(with.run(show("held", true)) == exit_code::done);
    CHECK(contains(with.out.str(), "status    201\n"));
    CHECK(contains(with.out.str(), "Content-Type: application/json"));
    CHECK(with.run(settle("held")) == exit_code::refused);
}

TEST_CASE("idempoctl: forget removes what no handler holds, and more only by force", "[idempoctl]") {
    scene with;
    with.complete("full", "answer");
    with.claim("live", 1h);
    CHECK(with.run(forget("full")) == exit_code::done);
    CHECK_FALSE(with.look("full"));
    CHECK(with.run(forget("live")) == exit_code::refused);
    CHECK(with.look("live"));
    CHECK(with.run(forget("live", true)) == exit_code::done);
    CHECK_FALSE(with.look("live"));
}

TEST_CASE("idempoctl: of a key that has expired and is remembered, only the mark can be removed", "[idempoctl]") {
    scene with;
    idempo::error_code error;
    auto const by = idempo::make_fencing_token();
    idempo::claim_request used{idempo::make_store_key("", "", "used"), {{1}}, by, 0ms, 0ms};
    used.remember = 48h;
    static_cast<void>(with.records.claim(used, error));
    CHECK(with.run(show("used")) == exit_code::done);
    CHECK(contains(with.out.str(), "expired: a retry gets 410"));
    CHECK(with.run(release(change("used"))) == exit_code::refused);
    CHECK(with.run(settle("used")) == exit_code::refused);
    CHECK(with.run(hold("used")) == exit_code::refused);
    CHECK(contains(with.sentence, "it has expired"));
    CHECK(with.run(forget("used")) == exit_code::done);
    CHECK(contains(with.err.str(), "before=\"expired, remembered for another "));
    CHECK(with.run(show("used")) == exit_code::no_record);
}

TEST_CASE("idempoctl: a change is asked for, or confirmed, or it does not happen", "[idempoctl]") {
    scene with;
    with.is_confirmed = false;
    with.claim("dead", 0ms);
    CHECK(with.run(release(change("dead"))) == exit_code::refused);
    CHECK(contains(with.sentence, "--yes"));
    with.is_interactive = true;
    with.typed = "no\n";
    CHECK(with.run(release(change("dead"))) == exit_code::refused);
    CHECK(with.look("dead"));
    with.typed = "yes\n";
    CHECK(with.run(release(change("dead"))) == exit_code::done);
    CHECK_FALSE(with.look("dead"));
}

TEST_CASE("idempoctl: stats count each state", "[idempoctl]") {
    scene with;
    with.claim("dead", 0ms);
    with.claim("live", 1h);
    with.park("held", "why");
    with.complete("full", "answer");
    with.as_json = true;
    CHECK(with.run([](store_link& link, console& io) { run_stats(link, io); }) == exit_code::done);
    CHECK(with.out.str().find(
              R"({"records":4,"in_flight":2,"ended_leases":1,"completed":1,"parked":1,"unreadable":0,)") == 0);
}

TEST_CASE("idempoctl: check tries a claim", "[idempoctl]") {
    scene with;
    auto const check = [](store_link& link, console& io) { run_check(link, io); };
    CHECK(with.run(check) == exit_code::done);
    CHECK(contains(with.out.str(), "ok    a claim is taken\n"));
    with.link.report->tell_facts("Redis 7", true);
    CHECK(with.run(check) == exit_code::unfit);
}

TEST_CASE("idempoctl: a URL that names no store is wrong usage, and is not repeated", "[idempoctl]") {
    for (auto const* url : {"memory:", "nonsense", "mysql://u:secret@h", "redis://u:secret@h:port"}) {
        INFO(url);
        try {
            static_cast<void>(open_link(url));
            FAIL("accepted");
        } catch (failure const& error) {
            CHECK(error.code == exit_code::wrong_usage);
            CHECK_FALSE(contains(error.what(), "secret"));
        }
    }
}
