// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <idempo/redis/operations/script.hpp>

#include <cstddef>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <string>

namespace scripts = idempo::redis::scripts;

namespace {

/// What stands between `if name == '…' then` and the next of these.
std::map<std::string, std::string> operations_in(std::string const& source) {
    static std::regex const head("(?:if|elseif) name == '(\\w+)' then\n");
    std::map<std::string, std::string> operations;
    std::sregex_iterator const end;
    for (std::sregex_iterator at(source.begin(), source.end(), head); at != end; ++at) {
        auto const next = std::next(at);
        auto const from = at->position() + at->length();
        auto const until = next == end ? static_cast<std::ptrdiff_t>(source.size()) : next->position();
        operations[at->str(1)] = source.substr(static_cast<std::size_t>(from), static_cast<std::size_t>(until - from));
    }
    return operations;
}

std::multiset<std::string> matches(std::string const& code, char const* pattern) {
    std::regex const expression(pattern);
    std::multiset<std::string> found;
    std::sregex_iterator const end;
    for (std::sregex_iterator at(code.begin(), code.end(), expression); at != end; ++at) found.insert(at->str(1));
    return found;
}

std::multiset<std::string> functions_in(std::string const& code) { return matches(code, "local function (\\w+)\\("); }

}  // namespace

TEST_CASE("redis script: each operation has the functions that it calls, once, and no others") {
    std::string const source(scripts::claim().source);
    auto const all = functions_in(source);
    auto const operations = operations_in(source);
    REQUIRE(operations.size() == 11);
    for (auto const& [name, code] : operations) {
        CAPTURE(name);
        auto const own = functions_in(code);
        auto const without_heads = std::regex_replace(code, std::regex("local function \\w+"), "");
        auto const called = matches(without_heads, "\\b(\\w+)\\(");
        for (auto const& each : all) {
            CAPTURE(each);
            CHECK(own.count(each) == (called.contains(each) ? 1 : 0));
        }
    }
    CHECK(functions_in(operations.at("fetch")).empty());
    CHECK(functions_in(operations.at("claim")).contains("notes"));
}

TEST_CASE("redis script: all operations are one script, so that a server knows all of them or none") {
    for (auto const& each :
         {scripts::abandon(), scripts::claim(), scripts::complete(), scripts::fetch(), scripts::park(), scripts::peek(),
          scripts::peek_many(), scripts::renew(), scripts::save_step(), scripts::settle(), scripts::take()}) {
        CAPTURE(each.name);
        CHECK(each.sha1 == scripts::claim().sha1);
        CHECK(operations_in(std::string(each.source)).contains(std::string(each.name)));
    }
}
