// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include <idempo/redis/discovery/cluster_watch_fsm.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

using namespace std::chrono_literals;
using namespace idempo::redis;
using idempo::redis_endpoint;
using idempo::redis_problem;

// Finding out which node has which slots, by literal answers and a clock that is moved.

namespace {

using fsm = cluster_watch_fsm;
using endpoints = std::vector<redis_endpoint>;

std::string bulk(std::string const& text) { return '$' + std::to_string(text.size()) + "\r\n" + text + "\r\n"; }

/// The answer of a node by which these share the slots up to the last, in order.
slot_map map_of(endpoints const& primaries, std::size_t last = 16383) {
    std::string text = '*' + std::to_string(primaries.size()) + "\r\n";
    for (std::size_t number = 0; number < primaries.size(); ++number) {
        auto const first_slot = (last + 1) * number / primaries.size();
        auto const last_slot = (last + 1) * (number + 1) / primaries.size() - 1;
        text += "*3\r\n:" + std::to_string(first_slot) + "\r\n:" + std::to_string(last_slot) + "\r\n*2\r\n" +
                bulk(primaries[number].host) + ':' + std::to_string(primaries[number].port) + "\r\n";
    }
    reply_reader reader(slot_map::max_array_elements);
    reader.feed(text);
    auto const answer = reader.next();
    return slot_map::read(reply_view(answer.get()), {"asked", 1}).value();
}

redis_endpoint node(std::size_t number) { return {"node", static_cast<std::uint16_t>(number)}; }

endpoints nodes(std::size_t first, std::size_t count) {
    endpoints all;
    for (std::size_t number = first; number < first + count; ++number) all.push_back(node(number));
    return all;
}

/// The actions in words, and the events that tests have need of.
class scene {
public:
    explicit scene(endpoints seeds) : machine(std::move(seeds), 1s, 1) {}

    std::string actions() {
        std::string all;
        for (auto const& each : machine.take_actions()) {
            if (!all.empty()) all += ", ";
            all += std::visit([this](auto const& action) { return words_of(action); }, each);
        }
        return all;
    }

    std::chrono::milliseconds await() {
        auto const before = now;
        now = machine.next_time().value();
        machine.on_time(now);
        return std::chrono::duration_cast<std::chrono::milliseconds>(now - before);
    }

    /// The next question, which nobody answers, and the time that it takes.
    void ask_in_vain(std::chrono::milliseconds each) {
        await();
        actions();
        now += each * static_cast<long>(asked.size());
        machine.on_answer(std::nullopt, now);
        actions();
    }

    /// The present question is answered at once.
    void answer(redis_endpoint const& by, slot_map map) {
        bool const will_do = machine.accept(std::move(map));
        machine.on_answer(will_do ? std::optional(by) : std::nullopt, now);
    }

    time_point now{1h};
    fsm machine;
    endpoints asked;

private:
    std::string words_of(fsm::ask const& wanted) {
        asked = wanted.nodes;
        std::string text = "ask";
        for (auto const& each : asked) text += ' ' + std::to_string(each.port);
        return text;
    }
    static std::string words_of(fsm::tell const& wanted) {
        return "tell " + std::to_string(wanted.map.primaries().size());
    }
    static std::string words_of(fsm::serve_waiting const& wanted) {
        return "serve " +
               (wanted.problem == redis_problem::none ? std::to_string(wanted.primary.port) : std::string("nobody"));
    }
    static std::string words_of(fsm::tell_unknown const&) { return "unknown"; }
};

}  // namespace

TEST_CASE("cluster_watch_fsm: asks at the start, and nothing more when one knows all slots") {
    scene scene(nodes(1, 2));
    CHECK_FALSE(scene.machine.next_time());
    scene.machine.start(scene.now);
    CHECK(scene.await() == 0ms);
    CHECK(scene.actions() == "ask 1 2");
    scene.machine.on_wanted(scene.now);
    CHECK(scene.actions().empty());
    scene.answer(node(1), map_of(nodes(5, 3)));
    CHECK(scene.actions() == "tell 3, serve 5");
    CHECK(scene.machine.next_time());
    // Somebody wanted a primary meanwhile, which counts as a wish to ask: once more, and then no longer.
    scene.await();
    scene.actions();
    scene.answer(node(5), map_of(nodes(5, 3)));
    CHECK_FALSE(scene.machine.next_time());
    scene.machine.on_wanted(scene.now);
    CHECK(scene.actions() == "tell 3, serve 5, serve 5");
    CHECK_FALSE(scene.machine.next_time());
}

TEST_CASE("cluster_watch_fsm: while nobody answers it asks again and again, with pauses, and says so") {
    scene scene(nodes(1, 2));
    scene.machine.start(scene.now);
    for (int number = 0; number < 20; ++number) {
        CHECK(scene.await() <= 500ms);
        CHECK(scene.actions().starts_with("ask"));
        scene.machine.on_answer(std::nullopt, scene.now);
        CHECK(scene.actions() == "serve nobody");
        CHECK(*scene.machine.next_time() - scene.now >= 10ms);
    }
    scene.await();
    scene.actions();
    scene.answer(node(1), map_of(nodes(1, 2)));
    CHECK(scene.actions() == "tell 2, serve 1");
    scene.machine.on_gap(scene.now);
    scene.await();
    scene.actions();
    scene.machine.on_answer(std::nullopt, scene.now);
    CHECK(scene.actions() == "unknown, serve 1");  // what was known has to do
}

TEST_CASE("cluster_watch_fsm: an answer with gaps does not end the question, and the best has to do") {
    scene scene(nodes(1, 3));
    scene.machine.start(scene.now);
    scene.await();
    scene.actions();
    CHECK_FALSE(scene.machine.accept(map_of({}, 0)));
    CHECK_FALSE(scene.machine.accept(map_of(nodes(5, 2), 99)));
    CHECK_FALSE(scene.machine.accept(map_of(nodes(7, 1), 50)));
    scene.machine.on_answer(std::nullopt, scene.now);
    CHECK(scene.actions() == "tell 2, serve 5");
}

TEST_CASE("cluster_watch_fsm: begins each question with another node, and asks the silent last") {
    scene scene(nodes(1, 3));
    scene.machine.start(scene.now);
    std::set<std::uint16_t> first;
    for (int number = 0; number < 6; ++number) {
        scene.await();
        scene.actions();
        first.insert(scene.asked.front().port);
        scene.answer(scene.asked.front(), map_of(nodes(1, 3)));
        scene.actions();
        scene.machine.on_gap(scene.now);
    }
    CHECK(first.size() == 3);
    scene.machine.on_doubt(node(2), scene.now);
    for (int number = 0; number < 3; ++number) {
        scene.await();
        scene.actions();
        CHECK(scene.asked.back() == node(2));
        scene.answer(scene.asked.front(), map_of(nodes(1, 3)));
    }
    scene.machine.on_moved(node(9), scene.now);
    scene.await();
    CHECK(scene.actions().find("ask 9 ") != std::string::npos);
}

TEST_CASE("cluster_watch_fsm: a doubt is followed until an attempt to connect would have failed") {
    scene scene(nodes(1, 1));
    scene.machine.start(scene.now);
    scene.await();
    scene.answer(node(1), map_of(nodes(1, 1)));
    CHECK_FALSE(scene.machine.next_time());
    auto const since = scene.now;
    scene.machine.on_doubt(node(1), scene.now);
    std::size_t questions = 0;
    for (; scene.machine.next_time(); ++questions) {
        scene.await();
        scene.actions();
        scene.answer(node(1), map_of(nodes(1, 1)));
    }
    CHECK(questions > 5);
    CHECK(questions < 300);
    CHECK(scene.now - since > 2s);
    CHECK(scene.now - since < 4s);
}

TEST_CASE("cluster_watch_fsm: doubts come together in one question at a time") {
    scene scene(nodes(1, 1));
    scene.machine.start(scene.now);
    for (int number = 0; number < 100; ++number) scene.machine.on_doubt(node(7), scene.now);
    scene.await();
    CHECK(scene.actions() == "ask 1");
    for (int number = 0; number < 100; ++number) scene.machine.on_moved(node(1), scene.now);
    scene.machine.on_time(scene.now + 1h);
    CHECK(scene.actions().empty());
    CHECK_FALSE(scene.machine.next_time());
}

// With 80 known nodes it once took minutes.
TEST_CASE("cluster_watch_fsm: when all addresses of a large cluster change, a seed is asked within one question") {
    auto const count = GENERATE(std::size_t{4}, std::size_t{40}, std::size_t{80}, std::size_t{1000});
    CAPTURE(count);
    auto const seeds = nodes(1, 3);
    scene scene(seeds);
    scene.machine.start(scene.now);
    scene.await();
    scene.actions();
    scene.answer(node(1), map_of(nodes(100, count)));
    scene.machine.on_doubt(node(100), scene.now);
    std::set<std::uint16_t> asked_seeds;
    for (int number = 0; number < 20; ++number) {
        scene.ask_in_vain(250ms);
        CHECK(scene.asked.size() <= fsm::max_asked);
        std::size_t found = 0;
        for (auto const& each : scene.asked) {
            bool const is_seed = std::find(seeds.begin(), seeds.end(), each) != seeds.end();
            found += is_seed;
            if (is_seed) asked_seeds.insert(each.port);
        }
        CHECK(found > 0);
    }
    CHECK(asked_seeds.size() == seeds.size());
}

TEST_CASE("cluster_watch_fsm: when it has ended nothing happens any more") {
    scene scene(nodes(1, 1));
    scene.machine.start(scene.now);
    bool const is_asking = GENERATE(false, true);
    if (is_asking) scene.await();
    scene.machine.end();
    scene.machine.on_doubt(node(1), scene.now);
    scene.machine.on_moved(node(1), scene.now);
    scene.machine.on_gap(scene.now);
    scene.machine.on_wanted(scene.now);
    CHECK_FALSE(scene.machine.accept(map_of(nodes(1, 1))));
    scene.machine.on_answer(node(1), scene.now);
    scene.machine.on_time(scene.now + 1h);
    CHECK(scene.actions().empty());
    CHECK_FALSE(scene.machine.next_time());
}
