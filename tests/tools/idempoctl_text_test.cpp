// SPDX-License-Identifier: MIT
#include "idempoctl/text.hpp"

#include "support/catch.hpp"
#include "support/temporary_server.hpp"

#include "idempoctl/change.hpp"
#include "idempoctl/commands.hpp"
#include "idempoctl/flags.hpp"
#include "idempoctl/key_choice.hpp"
#include "idempoctl/outcome.hpp"
#include "idempoctl/seal_keys.hpp"

#include <idempo/digest_key.hpp>
#include <idempo/key.hpp>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace idempoctl;
using idempo::record_info;
using idempo::record_state;

record_info info_of(record_state state, std::chrono::milliseconds lease = 0ms) {
    record_info info;
    info.state = state;
    info.attempt = 2;
    info.lease_remaining = lease;
    return info;
}

std::optional<flags> parse(std::vector<char const*> words) {
    words.insert(words.begin(), "idempoctl");
    return parse_flags(static_cast<int>(words.size()), words.data());
}

exit_code code_of(std::vector<char const*> const& words) {
    try {
        static_cast<void>(parse(words));
        return exit_code::done;
    } catch (failure const& error) {
        return error.code;
    }
}

}  // namespace

TEST_CASE("idempoctl: a span is a number and a unit", "[idempoctl]") {
    CHECK(parse_span("250ms") == 250ms);
    CHECK(parse_span("90s") == 90s);
    CHECK(parse_span("5m") == 5min);
    CHECK(parse_span("24h") == 24h);
    CHECK(parse_span("7d") == 168h);
    for (auto const* wrong :
         {"", "5", "m", "-5m", "5 m", "5min", "5mm", "1e3s", "9999999999999d", "99999999999999999999s"}) {
        INFO(wrong);
        CHECK_FALSE(parse_span(wrong));
    }
}

TEST_CASE("idempoctl: a span is printed by its two largest units", "[idempoctl]") {
    CHECK(print_span(0ms) == "0ms");
    CHECK(print_span(999ms) == "999ms");
    CHECK(print_span(1500ms) == "1s");
    CHECK(print_span(-200s) == "3m 20s");
    CHECK(print_span(24h) == "1d");
    CHECK(print_span(25h + 59s) == "1d 1h");
}

TEST_CASE("idempoctl: what a client sent cannot write to the terminal, nor leave its JSON string", "[idempoctl]") {
    CHECK(printable("a\x1b[31mb\n") == "a\\x1b[31mb\\x0a");
    CHECK(json_string("a\"b\\\n") == "\"a\\u0022b\\u005c\\u000a\"");
    json_object object;
    object.add("one", std::int64_t{1}).add("two", "2").add("three", true);
    std::string const expected = R"({"one":1,"two":"2","three":true})";  // GCC 12 warns of a comparison with a literal
    CHECK(object.text() == expected);
}

TEST_CASE("idempoctl: a state has one name", "[idempoctl]") {
    CHECK(parse_state("in_flight") == record_state::in_flight);
    CHECK(parse_state("completed") == record_state::completed);
    CHECK(parse_state("parked") == record_state::parked);
    CHECK_FALSE(parse_state("held"));
    CHECK_FALSE(parse_state(name_of(record_state::remembered)));  // no list has marks
}

TEST_CASE("idempoctl: a record in a sentence", "[idempoctl]") {
    CHECK(sentence_of(info_of(record_state::completed)) == "completed, attempt 2");
    CHECK(sentence_of(info_of(record_state::in_flight, 8s)) == "in flight, attempt 2, lease ends in 8s");
    CHECK(sentence_of(info_of(record_state::in_flight, -8s)) == "in flight, attempt 2, lease ended 8s ago");
}

TEST_CASE("idempoctl: a record that was released is free, and nobody has died with it", "[idempoctl]") {
    auto info = info_of(record_state::in_flight, -8s);
    CHECK(has_ended_lease(info));
    CHECK_FALSE(is_free(info));
    info.attempt = 0;
    CHECK_FALSE(has_ended_lease(info));
    CHECK(is_free(info));
    CHECK(sentence_of(info) == "free");
    CHECK(why_not_settle(info).empty());
    CHECK(why_not_forget(info, false).empty());
}

TEST_CASE("idempoctl: who holds a key keeps it, and an answer is not replaced", "[idempoctl]") {
    auto const live = info_of(record_state::in_flight, 8s);
    auto const dead = info_of(record_state::in_flight, -8s);
    auto const held = info_of(record_state::parked);
    auto const full = info_of(record_state::completed);
    CHECK(why_not_settle(live).find("attempt 2 holds it for another 8s") == 0);
    CHECK(why_not_settle(full).find("it has an answer already") == 0);
    CHECK(why_not_settle(dead).empty());
    CHECK(why_not_settle(held).empty());
    CHECK_FALSE(why_not_hold(live).empty());
    CHECK_FALSE(why_not_hold(full).empty());
    CHECK_FALSE(why_not_hold(held).empty());
    CHECK(why_not_hold(dead).empty());
    CHECK_FALSE(why_not_forget(live, false).empty());
    CHECK(why_not_forget(live, true).empty());
    CHECK(why_not_forget(full, false).empty());
}

TEST_CASE("idempoctl: a filter is what a record has to be", "[idempoctl]") {
    auto info = info_of(record_state::in_flight, -8s);
    info.age = 5min;
    CHECK(matches({}, info));
    CHECK(matches({.older_than = 5min}, info));
    CHECK_FALSE(matches({.older_than = 6min}, info));
    CHECK(matches({.least_attempt = 2}, info));
    CHECK_FALSE(matches({.least_attempt = 3}, info));
    CHECK(matches({.has_ended_lease = true}, info));
    CHECK_FALSE(matches({.has_ended_lease = true}, info_of(record_state::in_flight, 8s)));
    CHECK_FALSE(matches({.has_ended_lease = true}, info_of(record_state::parked, -8s)));
    CHECK_FALSE(matches({.older_than = 0ms}, info_of(record_state::in_flight)));  // its age is not known
}

TEST_CASE("idempoctl: an audit line", "[idempoctl]") {
    audit_entry const entry{"release", {}, "parked, attempt 2", "free", true};
    CHECK(audit_line(entry, std::chrono::system_clock::time_point(1'796'000'000s), "al\"ice") ==
          "audit time=2026-11-30T00:53:20Z user=\"al\\u0022ice\" action=release key=" + std::string(64, '0') +
              " before=\"parked, attempt 2\" after=\"free\" result=done");
}

TEST_CASE("idempoctl: a client's key leads to the store key of the service", "[idempoctl]") {
    CHECK(client_key({.key = "k1", .key_namespace = "charges", .scope = "acct_7"}) ==
          idempo::make_store_key("charges", "acct_7", "k1"));
    CHECK(client_key({.key = "k1", .endpoint = "POST /charges"}) ==
          idempo::make_store_key("", "", "k1", idempo::endpoint{"POST", "/charges"}));
    CHECK_THROWS_AS(client_key({.key = "k1", .endpoint = "/charges"}), failure);
    CHECK_THROWS_AS(client_key({.key = "k1", .secret_file = "/nonexistent"}), failure);
    CHECK_THROWS_AS(client_key({.key = "k1", .endpoint = "POST charges"}), failure);
}

TEST_CASE("idempoctl: with a secret, a client's key leads to the store key of a service that has it", "[idempoctl]") {
    std::string const secret(32, 's');
    auto const directory = idempo::tests::make_server_directory("secret");
    std::ofstream(directory + "/secret") << secret << '\n';
    idempo::digest_keys const secrets{secret};
    CHECK(client_key({.key = "k1", .secret_file = directory + "/secret"}) ==
          idempo::make_store_key("", "", "k1", {}, &secrets.list().front()));
    std::ofstream(directory + "/secret") << "short";
    CHECK_THROWS_AS(client_key({.key = "k1", .secret_file = directory + "/secret"}), failure);
    std::filesystem::remove_all(directory);
}

TEST_CASE("idempoctl: a file of seal keys", "[idempoctl]") {
    auto const directory = idempo::tests::make_server_directory("seal");
    auto const path = directory + "/keys";
    auto const keys_in = [&path](std::string const& content) {
        std::ofstream(path) << content;
        return read_seal_keys(path);
    };
    std::string const secret(32, 's');
    auto const keys = keys_in("# of May\n7:" + secret + "\r\n\n4294967295:hex:" + std::string(64, 'A'));
    REQUIRE(keys.size() == 2);
    CHECK(keys[0].id == 7);
    CHECK(keys[0].secret == secret);
    CHECK(keys[1].id == 4294967295U);
    CHECK(keys[1].secret == std::string(32, '\xAA'));
    CHECK(read_seal_keys("").empty());
    std::vector<std::string> const wrong_contents{"",
                                                  "7",
                                                  "7:",
                                                  secret,
                                                  "-1:" + secret,
                                                  "4294967296:" + secret,
                                                  "7:hex:abc",
                                                  "7:hex:zz",
                                                  "7:short",
                                                  "7:" + secret + "\n7:" + secret};
    for (auto const& wrong : wrong_contents) {
        INFO(wrong);
        CHECK_THROWS_AS(keys_in(wrong), failure);
    }
    CHECK_THROWS_AS(read_seal_keys(directory + "/none"), failure);
    std::filesystem::remove_all(directory);
}

TEST_CASE("idempoctl: the command line", "[idempoctl]") {
    auto const list = parse({"list", "--url", "redis://h", "--state", "parked", "--older-than", "5m", "--json"});
    REQUIRE(list);
    CHECK(list->as_json);
    REQUIRE(std::holds_alternative<list_flags>(list->command));
    CHECK(std::get<list_flags>(list->command).filter.state == record_state::parked);
    CHECK(std::get<list_flags>(list->command).filter.older_than == 5min);

    auto const settle =
        parse({"--url", "redis://h", "settle", "k1", "--status", "201", "--body", "{}", "--attempt", "3"});
    REQUIRE(settle);
    auto const& given = std::get<settle_flags>(settle->command);
    CHECK(given.status == 201);
    CHECK(given.change.key.key == "k1");
    CHECK(given.change.attempt == 3U);
    CHECK(given.change.retention == default_retention);

    auto const purge = parse({"--url", "redis://h", "purge", "k1"});
    REQUIRE(purge);
    CHECK(std::holds_alternative<forget_flags>(purge->command));

    CHECK(code_of({"--url", "redis://h"}) == exit_code::wrong_usage);
    CHECK(code_of({"--url", "redis://h", "show"}) == exit_code::wrong_usage);
    CHECK(code_of({"--url", "redis://h", "settle", "k1"}) == exit_code::wrong_usage);
    CHECK(code_of({"--url", "redis://h", "settle", "k1", "--status", "99"}) == exit_code::wrong_usage);
    CHECK(code_of({"--url", "redis://h", "list", "--state", "held"}) == exit_code::wrong_usage);
    CHECK(code_of({"--url", "redis://h", "list", "--older-than", "soon"}) == exit_code::wrong_usage);
    CHECK(code_of({"--url", "redis://h", "list", "--limit", "0"}) == exit_code::wrong_usage);
}
