// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/charge_scene.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <latch>
#include <string>
#include <thread>
#include <vector>

using namespace idempo::tests;

namespace {

constexpr std::size_t connections = 50;
constexpr std::size_t requests_each = 20;

/// The same request over many connections at once; all the answers.
std::vector<text_response> burst(std::uint16_t port, text_request const& request) {
    std::vector<std::vector<text_response>> answers(connections);
    std::latch all_connected(connections);
    std::vector<std::thread> threads;
    for (auto& mine : answers) {
        threads.emplace_back([&] {
            http_client client(port);
            all_connected.arrive_and_wait();
            for (std::size_t sent = 0; sent < requests_each; ++sent) mine.push_back(client.exchange(request));
        });
    }
    for (auto& thread : threads) thread.join();

    std::vector<text_response> all;
    for (auto& some : answers) std::move(some.begin(), some.end(), std::back_inserter(all));
    return all;
}

}  // namespace

TEST_CASE("charge_server: of a thousand identical requests at once, one is executed") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style);
    auto const request = make_post("/charge?delay_ms=500", "a", charge_42);

    auto const answers = burst(scene.server.port(), request);

    CHECK(scene.started() == 1);
    CHECK(scene.charged() == 1);
    REQUIRE(answers.size() == connections * requests_each);
    auto const stored = scene.client.exchange(request);
    CHECK(is_replay(stored));
    std::size_t executed = 0;
    std::size_t in_flight = 0;
    for (auto const& answer : answers) {
        if (answer.result_int() == 409) {
            ++in_flight;
            continue;
        }
        CHECK(answer.result_int() == 201);
        CHECK(answer.body() == stored.body());
        if (!is_replay(answer)) ++executed;
    }
    CHECK(executed == 1);
    CHECK(in_flight > 0);
}

TEST_CASE("charge_server: bursts of requests without a key are all executed") {
    auto const style = each_style();
    CAPTURE(style);
    charge_scene scene(style);
    auto const answers = burst(scene.server.port(), make_post("/charge", "", charge_42));
    CHECK(std::all_of(answers.begin(), answers.end(), [](auto const& answer) { return answer.result_int() == 201; }));
    CHECK(scene.charged() == connections * requests_each);
}
