// SPDX-License-Identifier: MIT
#include <idempo/detail/step_log.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <utility>

using idempo::detail::step_log;

namespace {

std::string kept(std::initializer_list<std::pair<std::string, std::string>> steps) {
    step_log log({}, {});
    std::string bytes;
    for (auto const& [label, result] : steps) bytes += log.entry(label, result);
    return bytes;
}

}  // namespace

TEST_CASE("step_log: finds by label what was kept, whatever bytes it has") {
    std::string const bytes("\0\xff\n", 3);
    step_log log(kept({{"authorise", "a-1"}, {"capture", bytes}, {"empty", ""}}), {});
    CHECK(log.begin("capture") == bytes);
    CHECK(log.begin("authorise") == "a-1");
    CHECK(log.begin("empty") == "");
    CHECK_FALSE(log.begin("notify"));
}

TEST_CASE("step_log: a label is used once, and one step runs at a time") {
    step_log log(kept({{"a", "1"}}), {});
    CHECK(log.begin("a"));
    CHECK_THROWS_AS(log.begin("a"), std::logic_error);
    CHECK_FALSE(log.begin("b"));
    CHECK_THROWS_AS(log.begin("c"), std::logic_error);
    SECTION("one that has no result may run again") {
        log.end(false);
        CHECK_FALSE(log.begin("b"));
    }
    SECTION("one that has is used up") {
        log.end(true);
        CHECK_THROWS_AS(log.begin("b"), std::logic_error);
        CHECK_FALSE(log.begin("c"));
    }
}

TEST_CASE("step_log: labels have a length") {
    step_log log({}, {});
    CHECK_THROWS_AS(log.begin(""), std::invalid_argument);
    CHECK_THROWS_AS(log.begin(std::string(256, 'l')), std::invalid_argument);
    CHECK_FALSE(log.begin(std::string(255, 'l')));
}

TEST_CASE("step_log: limits count what earlier attempts have kept") {
    step_log const fresh({}, {10, 100});
    CHECK_NOTHROW(fresh.entry("a", std::string(10, 'r')));
    CHECK_THROWS_AS(fresh.entry("a", std::string(11, 'r')), std::length_error);

    auto const first = fresh.entry("a", std::string(10, 'r'));
    std::string all;
    while (all.size() + first.size() <= 100) all += first;
    step_log const full(all, {10, 100});
    CHECK_THROWS_AS(full.entry("b", std::string(10, 'r')), std::length_error);
}

TEST_CASE("step_log: what was taken back is not found") {
    auto const bytes = kept({{"a", "1"}}) + step_log::taking_back() + kept({{"b", "2"}});
    step_log log(bytes, {});
    CHECK(log.size() == bytes.size());
    CHECK_FALSE(log.find("a"));
    CHECK(log.find("b") == "2");
}

TEST_CASE("step_log: the next step goes behind the bytes that are kept, and after the steps that were sealed") {
    auto const bytes = kept({{"a", "1"}, {"b", "2"}});
    step_log log(bytes, {}, 1);
    CHECK(log.next().offset == bytes.size());
    CHECK(log.next().index == 1);
    log.added(10);
    CHECK(log.next().offset == bytes.size() + 10);
    CHECK(log.next().index == 2);
}

TEST_CASE("step_log: the size of the first entry") {
    auto const first = kept({{"a", "result"}});
    auto const whole = first + kept({{"b", ""}}) + step_log::taking_back();
    CHECK(step_log::first_size(whole) == first.size());
    CHECK(step_log::first_size(step_log::taking_back()) == step_log::taking_back().size());
    for (std::size_t length = 0; length < first.size(); ++length) {
        CHECK(step_log::first_size(first.substr(0, length)) == 0);
    }
}

TEST_CASE("step_log: no damage goes unnoticed") {
    auto const whole = kept({{"a", "result"}});
    for (std::size_t length = 1; length < whole.size(); ++length) {
        CHECK_THROWS_AS(step_log(whole.substr(0, length), {}), std::invalid_argument);
    }
    for (std::size_t place = 0; place < whole.size(); ++place) {
        auto damaged = whole;
        damaged[place] = static_cast<char>(damaged[place] ^ 1);
        INFO("byte " << place);
        CHECK_THROWS_AS(step_log(damaged, {}), std::invalid_argument);
    }
}
