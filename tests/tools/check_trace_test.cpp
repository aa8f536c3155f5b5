// SPDX-License-Identifier: MIT

// check-trace on traces that are written here, as a library and as the built program.

#include "support/catch.hpp"
#include "support/temporary_server.hpp"
#include "support/tool_process.hpp"
#include "tools/checked_trace.hpp"

#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace check_trace;
using idempo::tests::check_lines;
using idempo::tests::run_tool;
using idempo::tests::tool_result;

bool contains(std::string const& text, std::string_view part) { return text.find(part) != std::string::npos; }

std::string const this_request = " request=00000001 ";
std::string const other_request = " request=00000002 ";

/// Writes the lines of one process, a millisecond apart.
class writer {
public:
    explicit writer(std::string process = "00000000000a", std::uint64_t from = 1'000'000'000'000)
        : process_(std::move(process)),
          time_(from) {
        add("- - - 0 trace begins buffered=0");
    }

    writer& wait(std::uint64_t seconds) {
        time_ += seconds * 1'000'000;
        return *this;
    }
    writer& add(std::string const& rest) {
        text += "T1 " + process_ + ' ' + std::to_string(++number_) + ' ' + std::to_string(time_ += 1000) + ' ' + rest +
                '\n';
        return *this;
    }
    /// A call by token `by` (a digit), and its answer, which begins with the attempt.
    writer& call(std::string const& what, char by, std::string const& begun, std::string const& answer) {
        begin(what, by, begun);
        return end(what, by, number_, answer);
    }
    writer& begin(std::string const& what, char by, std::string const& begun = {}) {
        return add(columns(by) + "0 " + what + " begun" + begun);
    }
    writer& end(std::string const& what, char by, std::uint64_t call, std::string const& answer) {
        auto const space = answer.find(' ');
        auto const how = answer.substr(space + 1);
        return add(columns(by) + answer.substr(0, space) + ' ' + what + ' ' + how + " call=" + std::to_string(call) +
                   (how == "completed" ? " record=00000007" : ""));
    }
    writer& claim(char by, std::string const& answer, std::string const& asks = this_request,
                  std::string const& rest = {}) {
        return call("claim", by, asks + "lease=1000 retention=86400000" + rest, answer);
    }
    writer& complete(char by, std::string const& answer = "0 done", std::string const& asks = this_request) {
        return call("complete", by, asks + "retention=86400000 record=00000007", answer);
    }
    writer& abandon(char by) { return call("abandon", by, "", "0 ok"); }
    writer& renew(char by, std::string const& answer) { return call("renew", by, " lease=1000", answer); }
    writer& park(char by, std::string const& answer = "0 parked") {
        return call("park", by, this_request + "retention=86400000", answer);
    }
    /// The store is away: Claims by tokens that show nowhere else, and their Abandons, without an answer.
    writer& outage(unsigned requests) {
        for (unsigned i = 0; i < requests; ++i) {
            auto const token = "shared 1111111111111111 " + std::to_string(1'000'000'000'000'000 + number_) + " 0 ";
            add(token + "claim begun" + this_request + "lease=1000 retention=86400000");
            add(token + "claim error call=" + std::to_string(number_));
            add(token + "abandon begun");
            add(token + "abandon error call=" + std::to_string(number_));
        }
        return *this;
    }
    [[nodiscard]] std::uint64_t number() const { return number_; }

    std::string text;

private:
    static std::string columns(char by) {
        return "shared 1111111111111111 " + (by == '-' ? std::string("-") : "000000000000000" + std::string(1, by)) +
               ' ';
    }

    std::string process_;
    std::uint64_t time_;
    std::uint64_t number_ = 0;
};

/// Shorter than a lease.
constexpr microseconds short_slack = 100'000;

findings check(std::string const& text, assumptions given = {}) {
    given.begins_empty = true;
    given.slack = short_slack;
    return check_lines(text, given);
}

findings check(writer const& of, assumptions given = {}) { return check(of.text, given); }

/// Files that go with the test.
class directory {
public:
    directory() : path_(idempo::tests::make_server_directory("trace")) {}
    directory(directory const&) = delete;
    directory& operator=(directory const&) = delete;
    ~directory() { std::filesystem::remove_all(path_); }

    std::string file(std::string const& name, std::string const& text) const {
        auto path = path_ + '/' + name;
        std::ofstream(path, std::ios::binary) << text;
        return path;
    }

private:
    std::string path_;
};

tool_result check_trace_on(std::string const& words) { return run_tool("A=1", IDEMPO_CHECK_TRACE " " + words); }

/// A life of a record with much in it.
writer good() {
    writer trace;
    trace.claim('1', "1 granted").renew('1', "0 held").claim('2', "0 in_flight").wait(3);
    trace.claim('3', "2 granted").renew('1', "0 lost").complete('1', "0 in_flight").abandon('1');
    trace.complete('3').complete('3').claim('4', "0 completed").claim('5', "0 mismatch", other_request);
    return trace.complete('1', "0 completed");
}

struct forbidden_case {
    std::string name;
    writer trace;
    std::string rule;
};

std::vector<forbidden_case> forbidden_cases() {
    auto const stays = "a stored answer stays";
    return {
        {"a second run while the lease lasts", writer().claim('1', "1 granted").claim('2', "2 granted"),
         "while a lease runs"},
        {"a second first attempt", writer().claim('1', "1 granted").claim('2', "1 granted"), "while a lease runs"},
        {"a takeover that is not counted", writer().claim('1', "1 granted").wait(3).claim('2', "1 granted"),
         "one more attempt"},
        {"a run after the answer", writer().claim('1', "1 granted").complete('1').claim('2', "2 granted"), stays},
        {"a replay to another request",
         writer().claim('1', "1 granted").complete('1').claim('2', "0 completed", other_request),
         "only its own request"},
        {"a takeover by another request",
         writer().claim('1', "1 granted").wait(3).claim('2', "2 granted", other_request), "only its own request"},
        {"a replay of nothing", writer().claim('1', "0 completed"), "where there is no record"},
        {"its own rival", writer().claim('1', "1 granted").claim('1', "0 in_flight"), "by the token that holds"},
        {"a Complete by who lost the claim",
         writer().claim('1', "1 granted").wait(3).claim('2', "2 granted").complete('1'), "stores nothing"},
        {"a holder that cannot complete", writer().claim('1', "1 granted").complete('1', "0 in_flight"),
         "who holds the record stores"},
        {"an answer that is replaced",
         writer().claim('1', "1 granted").wait(3).claim('2', "2 granted").complete('2').complete('1'), stays},
        {"a Renew by who lost the claim",
         writer().claim('1', "1 granted").wait(3).claim('2', "2 granted").renew('1', "0 held"), "renews nothing"},
        {"a holder that cannot renew", writer().claim('1', "1 granted").renew('1', "0 lost"), "renews its lease"},
        {"an Abandon by who lost the claim",
         writer().claim('1', "1 granted").wait(3).claim('2', "2 granted").abandon('1').claim('3', "1 granted"),
         "while a lease runs"},
        {"an attempt that is forgotten",
         writer().claim('1', "1 granted").wait(3).claim('2', "2 granted").abandon('2').claim('3', "1 granted"),
         "one more attempt"},
        {"a parked record that runs", writer().claim('1', "1 granted").park('1').claim('2', "2 granted"),
         "a parked record does not run"},
        {"a park by who lost the claim", writer().claim('1', "1 granted").wait(3).claim('2', "2 granted").park('1'),
         "does not park"},
        {"a record that is gone too soon",
         writer().claim('1', "1 granted").complete('1').wait(60).claim('2', "1 granted"), stays},
    };
}

}  // namespace

TEST_CASE("check_trace: what the model allows is in it, whatever comes together") {
    auto const found = check(good());
    CHECK(found.violations == 0);
    CHECK(found.undecided == 0);
    CHECK(found.calls == 12);
    CHECK(found.records == 1);
    CHECK(found.counts.at("claim granted") == 2);
}

TEST_CASE("check_trace: each forbidden step is found at its line, with its rule") {
    for (auto const& each : forbidden_cases()) {
        INFO(each.name);
        assumptions given;
        given.repeat = 0;
        auto const found = check(each.trace, given);
        CHECK(found.violations == 1);
        REQUIRE(found.first.size() == 1);
        CHECK(contains(found.first.front().rule, each.rule));
        CHECK(found.first.front().where.line == each.trace.number());
    }
}

TEST_CASE("check_trace: what is told of a request, and its handler, fit its calls") {
    auto const told = [](writer trace, std::string const& what, unsigned attempt = 1) {
        return trace.add("- 1111111111111111 0000000000000001 " + std::to_string(attempt) + ' ' + what);
    };
    auto const ran = [&] {
        auto trace = told(writer().claim('1', "1 granted"), "handler begun");
        return told(trace, "handler ended");
    };
    SECTION("they do") {
        CHECK(check(told(ran().complete('1'), "told executed status=201")).violations == 0);
        CHECK(check(told(ran().abandon('1'), "told released status=503")).violations == 0);
        auto replayed = ran().complete('1').claim('2', "0 completed");
        replayed.add("- 1111111111111111 0000000000000002 0 told replayed status=201");
        CHECK(check(replayed).violations == 0);
    }
    SECTION("they do not") {
        std::vector<std::pair<writer, std::string>> const cases{
            {told(ran(), "told executed status=201"), "stored before it is told"},
            {told(ran().abandon('1'), "told executed status=201"), "stored before it is told"},
            {told(ran().complete('1').claim('1', "0 completed"), "told replayed"), "a token is for one claim"},
            {told(ran(), "told replayed"), "was in the store"},
            {told(writer().claim('1', "0 error"), "told replayed"), "was in the store"},
            {told(told(ran(), "handler begun"), "told held"), "under a claim that was granted"},
            {told(writer().claim('1', "1 granted"), "told released"), "released by Abandon"},
            {told(ran().complete('1').abandon('1'), "told executed"), "a claim is abandoned where"},
        };
        for (auto const& [trace, rule] : cases) {
            auto const found = check(trace);
            INFO(trace.text);
            REQUIRE(found.violations > 0);
            CHECK(contains(found.first.front().rule, rule));
        }
    }
}

TEST_CASE("check_trace: a call without an answer may be executed at any time, or never") {
    SECTION("never") {
        auto trace = writer().claim('1', "1 granted");
        trace.begin("complete", '1', this_request + "retention=86400000 record=00000007").wait(3);
        CHECK(check(trace.claim('2', "2 granted")).violations == 0);
    }
    SECTION("before the answer to another") {
        auto trace = writer().claim('1', "1 granted");
        trace.begin("complete", '1', this_request + "retention=86400000 record=00000007").wait(3);
        CHECK(check(trace.claim('2', "0 completed")).violations == 0);
    }
    SECTION("long after that, seen late") {
        auto trace = writer();
        trace.call("claim", '1', this_request + "lease=1000 retention=86400000", "0 error").wait(100);
        CHECK(check(trace.claim('2', "0 in_flight")).violations == 0);
    }
    SECTION("a Claim by nobody explains nothing") {
        CHECK(check(writer().wait(100).claim('2', "0 in_flight")).violations == 1);
    }
}

TEST_CASE("check_trace: the first call of a long outage may have been executed, however many follow") {
    constexpr unsigned requests = 500;
    SECTION("it explains what comes after") {
        auto trace = writer().outage(1).wait(2);
        trace.outage(requests).claim('2', "2 granted").complete('2').claim('3', "0 completed");
        auto const found = check(trace);
        CHECK(found.violations == 0);
        CHECK(found.undecided == 0);
    }
    SECTION("what none of them explains is found") {
        auto const found = check(writer().outage(requests).wait(2).claim('2', "1 granted").claim('3', "2 granted"));
        CHECK(found.violations == 1);
        CHECK(found.undecided == 0);
    }
    SECTION("many may have taken over from each other") {
        auto trace = writer();
        for (int i = 0; i < 10; ++i) trace.outage(requests / 10).wait(2);
        CHECK(check(trace.claim('2', "9 granted")).violations == 0);
    }
}

TEST_CASE("check_trace: a call that is executed twice may get another answer the second time") {
    SECTION("of an Abandon that leaves steps, it knows more") {
        auto trace = writer().claim('1', "1 granted");
        trace.call("save_step", '1', " offset=0 bytes=30", "0 kept").abandon('1');
        CHECK(check(trace.claim('2', "0 in_flight")).violations == 0);
    }
    SECTION("of a lease that has ended meanwhile, it takes over, and that shows when the call is long forgotten") {
        constexpr auto asks = " request=00000001 lease=4000 retention=86400000";
        auto trace = writer().call("claim", '1', asks, "1 granted").wait(3);
        trace.call("claim", '2', asks, "0 in_flight").wait(6);
        trace.call("claim", '3', asks, "0 in_flight").wait(1);
        CHECK(check(trace.call("claim", '4', asks, "3 granted")).violations == 0);
    }
    SECTION("but not at any time") {
        constexpr auto asks = " request=00000001 lease=4000 retention=86400000";
        auto trace = writer().call("claim", '1', asks, "1 granted");
        trace.call("claim", '2', asks, "0 in_flight").wait(60);
        trace.call("claim", '3', asks, "2 granted");
        CHECK(check(trace.complete('3').claim('2', "0 completed").claim('4', "4 granted")).violations == 1);
    }
    SECTION("an answer that there was no room says nothing of an earlier execution") {
        auto trace = writer().call("claim", '1', " request=00000001 lease=1000 retention=86400000", "0 full");
        CHECK(check(trace.claim('2', "0 in_flight")).violations == 0);
    }
}

TEST_CASE("check_trace: steps that an abandoned attempt has left are remembered when they have expired") {
    constexpr auto asks = " request=00000001 lease=1000 retention=1000 remember=86400000";
    auto trace = writer().call("claim", '1', asks, "1 granted");
    trace.call("save_step", '1', " offset=0 bytes=30", "0 kept").abandon('1').wait(60);
    CHECK(check(trace.call("claim", '2', asks, "0 remembered")).violations == 0);
}

TEST_CASE("check_trace: calls of several processes may come in any order that their times allow") {
    auto const from = std::uint64_t{1'000'000'000'000};
    writer first("00000000000a", from);
    writer second("00000000000b", from + 500);
    first.begin("claim", '1', this_request + "lease=1000 retention=86400000");
    second.begin("claim", '2', this_request + "lease=1000 retention=86400000");
    first.end("claim", '1', 2, "0 in_flight");
    second.end("claim", '2', 2, "1 granted");
    SECTION("at once") {
        std::string lines;
        std::size_t a = 0;
        std::size_t b = 0;
        while (a < first.text.size() || b < second.text.size()) {
            for (auto* each : {&a, &b}) {
                auto const& text = each == &a ? first.text : second.text;
                auto const end = text.find('\n', *each);
                lines += text.substr(*each, end + 1 - *each);
                *each = end + 1;
            }
        }
        CHECK(check(lines).violations == 0);
    }
    SECTION("one after the other, by more than the clocks may differ") {
        CHECK(check(writer().claim('1', "0 in_flight").wait(1).claim('2', "1 granted")).violations == 1);
    }
}

TEST_CASE("check_trace: a trace that begins in the middle is taken as it comes") {
    auto const text = writer().claim('2', "0 completed").claim('3', "0 completed").claim('4', "2 granted").text;
    CHECK(check_lines(text, assumptions{}).violations == 0);  // the answer may have been old
}

TEST_CASE("check_trace: after lines that are missing nothing is known") {
    auto const before = writer().claim('1', "1 granted").complete('1').text;
    writer later;
    for (int i = 0; i < 9; ++i) later.wait(1).add("- 1111111111111111 - 0 told refused status=503");
    auto const all = later.claim('2', "1 granted").text;
    auto const found = check(before + all.substr(all.rfind("\n", all.size() - 200) + 1));
    CHECK(found.missing > 0);
    CHECK(found.violations == 0);
}

TEST_CASE("check_trace: the program ends with 0, 1 or 2, and says why") {
    directory const files;
    SECTION("a good trace") {
        auto const result = check_trace_on("--from-empty " + files.file("good", good().text));
        INFO(result.output << result.errors);
        CHECK(result.exit_code == 0);
        CHECK(contains(result.output, "0 outside the model"));
        CHECK(contains(result.output, "2 claim granted"));
    }
    SECTION("a forbidden step") {
        auto const path = files.file("bad", forbidden_cases().front().trace.text);
        auto const result = check_trace_on("--from-empty --slack 0.1 --repeat 0 " + path);
        CHECK(result.exit_code == 1);
        CHECK(contains(result.output, path + ":5: the model forbids this"));
        CHECK(contains(result.output, "record  shared 1111111111111111"));
        CHECK(contains(result.output, "rule    while a lease runs"));
        CHECK(contains(check_trace_on("--from-empty --slack 0.1 --repeat 0 --json " + path).output, "\"outside\":1"));
    }
    SECTION("a call that cannot be judged is an error where --strict is given") {
        writer trace;
        trace.claim('1', "1 granted").end("renew", '1', 99, "0 held");  // it began before the trace did
        auto const path = files.file("unjudged", trace.text);
        CHECK(check_trace_on(path).exit_code == 0);
        CHECK(check_trace_on("--strict " + path).exit_code == 1);
        CHECK(check_trace_on("--strict --from-empty " + files.file("good", good().text)).exit_code == 0);
    }
    SECTION("a record that is gone is no error where --may-lose is given") {
        auto const gone = writer().claim('1', "1 granted").complete('1').wait(60).claim('2', "1 granted");
        auto const path = files.file("gone", gone.text);
        CHECK(check_trace_on("--from-empty " + path).exit_code == 1);
        CHECK(check_trace_on("--from-empty --may-lose " + path).exit_code == 0);
        auto const ran_twice = writer().claim('1', "1 granted").claim('2', "2 granted");
        CHECK(check_trace_on("--from-empty --may-lose --slack 0.1 --repeat 0 " + files.file("twice", ran_twice.text))
                  .exit_code == 1);
    }
    SECTION("the standard input") {
        auto const result = check_trace_on("- < " + files.file("good", good().text));
        CHECK(result.exit_code == 0);
    }
    SECTION("a line that is cut off at the end, or in the middle of a file that goes on") {
        auto const whole = good().text;
        auto const cut = files.file("cut", whole + "T1 00000000000a 99 10000");
        CHECK(check_trace_on(cut).exit_code == 0);
        CHECK(contains(check_trace_on(cut).output, "1 lines cut off"));
        auto const next = writer("00000000000b", 2'000'000'000'000).claim('6', "0 completed").text;
        auto const glued = check_trace_on(files.file("glued", whole + "T1 00000000000a 99 10000" + next));
        INFO(glued.output << glued.errors);
        CHECK(glued.exit_code == 0);
    }
    SECTION("a malformed line") {
        for (std::string const bad : {"T2 a 1 1 - - - 0 trace begins", "T1 x 1 1 - - - 0 trace begins", "nonsense",
                                      "T1 a 9 1 s 12 - 0 claim begun", "T1 a 9 1 s - - 0 claim begun",
                                      "T1 a 9 1 - - - 0 dance begun", "T1 a 9 1"}) {
            INFO(bad);
            auto const path = files.file("malformed", good().text + bad + "\n" + good().text);
            auto const result = check_trace_on(path);
            CHECK(result.exit_code == 2);
            CHECK(contains(result.errors, path + ":26: "));
        }
    }
    SECTION("nothing to check") {
        auto const result = check_trace_on(files.file("empty", ""));
        CHECK(result.exit_code == 2);
        CHECK(contains(result.errors, "nothing was checked"));
        CHECK(check_trace_on(files.file("idle", writer().text)).exit_code == 2);
        CHECK(check_trace_on("/nowhere/to/be/found").exit_code == 2);
        CHECK(check_trace_on("").exit_code == 2);
        CHECK(check_trace_on("--help").exit_code == 0);
    }
    SECTION("rotated files, in any order") {
        auto const whole = good().text;
        auto const middle = whole.find('\n', whole.size() / 2) + 1;
        auto const first = files.file("a.1", whole.substr(0, middle));
        auto const second = files.file("a", whole.substr(middle));
        CHECK(check_trace_on("--from-empty " + second + ' ' + first).exit_code == 0);
    }
}

TEST_CASE("check_trace: a large trace of many records is checked whole") {
    directory const files;
    auto const path = files.file("large", "");
    std::ofstream out(path);
    constexpr int records = 20'000;
    std::uint64_t number = 0;
    for (int i = 0; i < records; ++i) {
        std::array<char, 17> key{};
        std::snprintf(key.data(), key.size(), "%016x", i + 1);
        auto const line = [&](std::string const& rest) {
            ++number;
            out << "T1 a " << number << ' ' << number * 100 << " shared " << key.data() << " 00000000000000ff " << rest
                << '\n';
        };
        line("0 claim begun request=00000001 lease=1000 retention=86400000");
        line("1 claim granted call=" + std::to_string(number));
        line("0 complete begun request=00000001 retention=86400000 record=00000007");
        line("0 complete done call=" + std::to_string(number));
    }
    out.close();
    auto const result = check_trace_on("--json " + path);
    CHECK(result.exit_code == 0);
    CHECK(contains(result.output, "\"events\":80000,\"calls\":40000,\"records\":20000"));
}
