// SPDX-License-Identifier: MIT
#include "support/campaign.hpp"
#include "support/catch.hpp"
#include "support/message_proxy.hpp"
#include "support/poll_until.hpp"
#include "support/postgres_server.hpp"
#include "support/requests.hpp"
#include "support/transactional_scene.hpp"

#include <idempo/postgres/connection/pqxx_versions.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using namespace idempo::tests;

// The network between the transactional mode and its server is cut at each message that is sent.

namespace {

/// A server, the network to it, and a middleware that uses it over one connection.
struct distant_scene {
    explicit distant_scene(transactional_handler inner, std::size_t connections = 1)
        : scene(std::move(inner), options(connections)) {
        make_effects(server);
    }

    [[nodiscard]] idempo::transactional_options options(std::size_t connections) const {
        auto database = database_of(server);
        database.database.connection = network.connection();
        database.database.sweep_interval = 0ms;  // its messages would be counted
        database.connections = connections;
        return database;
    }

    postgres_server server;
    message_proxy network{server};
    transactional_scene scene;
};

text_request named_request(std::string const& name) {
    auto request = unkeyed_request();
    request.body() = name;
    request.prepare_payload();
    return request;
}

/// An effect of a request without a key has its body's name.
text_response charge_by_body(text_request const& request, transactional_rows& transaction, idempo::execution&) {
    transaction.exec("INSERT INTO effects VALUES (" + transaction.quote(request.body()) + ")");
    return answer(http::status::created);
}

}  // namespace

TEST_CASE("transactional: one message before the handler and one after it, and one for a replay") {
    distant_scene distant(
        [](text_request const&, transactional_rows&, idempo::execution&) { return answer(http::status::created); });
    auto& [server, network, scene] = distant;
    auto const sent = [&](text_request request) {
        auto const syncs = network.messages('S');
        auto const texts = network.messages('P');
        auto const queries = network.messages('Q');
        CHECK(scene.await(std::move(request)).result_int() == 201);
        poll_until([&] { return network.messages('S') - syncs >= 2; });  // also for an end that nobody waits for
        return std::vector<int>{network.messages('S') - syncs, network.messages('Q') - queries,
                                network.messages('P') - texts};
    };
    // libpqxx 6 sends nothing of its own for a subtransaction, later ones a savepoint and its end.
    int const savepoints = idempo::postgres::sets_savepoints ? 2 : 0;
    sent(keyed_request("first"));
    sent(unkeyed_request());
    sent(keyed_request("first"));
    // Nothing is parsed again.
    CHECK(sent(keyed_request("second")) == std::vector<int>{2, savepoints, 0});
    CHECK(sent(unkeyed_request()) == std::vector<int>{2, savepoints, 0});
    // The look, and an end that nobody waits for.
    CHECK(sent(keyed_request("second")) == std::vector<int>{2, 0, 0});
}

TEST_CASE("transactional: cut at any message, a request has one effect, and its retry the answer") {
    auto const how = GENERATE(message_cut::before, message_cut::after, message_cut::late);
    distant_scene distant(charge);
    auto& [server, network, scene] = distant;
    std::set<char> kinds;
    std::map<unsigned, int> firsts;
    int keys = 0;
    for (std::size_t number = 0;; ++number) {
        auto const key = "cut-" + std::to_string(number);
        REQUIRE(scene.send("before-" + key).result_int() == 201);  // so that there is a connection
        network.cut_at(number, how);
        auto const first = scene.await(keyed_request(key));
        if (!network.has_cut()) break;
        poll_until([&] { return network.is_quiet(); });
        CAPTURE(number, network.kind(), first.result_int());
        kinds.insert(network.kind());
        ++firsts[first.result_int()];
        ++keys;
        // The server may hold the lock for a while longer when the request has begun again on another connection: what
        // comes late takes it, and a process that has lost its client does not notice at once.
        bool const is_rival = first.result_int() == 409;
        CHECK((first.result_int() == 201 || first.result_int() == 500 || first.result_int() == 503 || is_rival));
        if (first.result_int() == 500) CHECK(effects_in(server, key) == "0");
        std::string body;
        poll_until([&] {
            auto const again = scene.send(key);
            body = again.body();
            return again.result_int() == 201;
        });
        CHECK(body == "first of " + key);
        CHECK(is_replay(scene.send(key)));
        CHECK(effects_in(server, key) == "1");
    }
    CHECK(kinds.size() >= 4);  // Parse, Bind, Execute, Sync, Query …
    CHECK(keys > 20);
    CHECK(firsts[201] > 0);  // on another connection, or found out
    CHECK(firsts[500] + firsts[503] > 0);
    CHECK(server.ask("SELECT count(*) FROM idempo_records WHERE response IS NOT NULL") == std::to_string(2 * keys + 2));
}

TEST_CASE("transactional: cut at any message, a request without a key is told the truth") {
    auto const how = GENERATE(message_cut::before, message_cut::after, message_cut::late);
    distant_scene distant(charge_by_body);
    auto& [server, network, scene] = distant;
    std::map<unsigned, int> answers;
    for (std::size_t number = 0;; ++number) {
        auto const name = "unkeyed-" + std::to_string(number);
        REQUIRE(scene.send(named_request("before-" + name)).result_int() == 201);
        network.cut_at(number, how);
        auto const response = scene.await(named_request(name));
        if (!network.has_cut()) break;
        poll_until([&] { return network.is_quiet(); });
        CAPTURE(number, network.kind());
        ++answers[response.result_int()];
        if (response.result_int() == 201) {
            CHECK(effects_in(server, name) == "1");
        } else if (response.result_int() == 503) {
            CHECK(effects_in(server, name) == "0");
        } else {
            CHECK(response.result_int() == 500);
            CHECK(response.count(http::field::retry_after) == 0);
        }
    }
    CHECK(answers[500] > 0);
    CHECK(answers[201] > 0);
}

TEST_CASE("transactional: cut at random messages under load, each key has one effect and one answer") {
    auto const seed = std::random_device{}();
    INFO("seed " << seed);
    int const cycles = campaign_cycles(40);
    constexpr std::size_t clients = 3;
    distant_scene distant(charge, clients);
    auto& [server, network, scene] = distant;
    REQUIRE(scene.send("first").result_int() == 201);
    std::atomic<bool> is_over{false};
    std::atomic<int> keys{1};
    std::atomic<int> wrong{0};
    std::atomic<int> unanswered{0};
    std::vector<std::thread> running;
    for (std::size_t client = 0; client < clients; ++client) {
        running.emplace_back([&, client] {
            for (int number = 0; !is_over; ++number) {
                auto const key = "load-" + std::to_string(client) + "-" + std::to_string(number);
                while (true) {
                    auto const response = scene.await(keyed_request(key));
                    if (response.result_int() == 201) {
                        if (response.body() != "first of " + key) ++wrong;
                        break;
                    }
                    ++unanswered;
                    std::this_thread::sleep_for(1ms);
                }
                ++keys;
            }
        });
    }
    std::mt19937 random(seed);
    std::map<char, int> kinds;
    std::map<message_cut, int> cuts;
    for (int cycle = 0; cycle < cycles; ++cycle) {
        constexpr std::size_t farthest = 150;
        auto const how = static_cast<message_cut>(std::uniform_int_distribution(0, 2)(random));
        network.cut_at(std::uniform_int_distribution<std::size_t>(0, farthest)(random), how);
        poll_until([&] { return network.has_cut() && network.is_quiet(); });
        ++kinds[network.kind()];
        ++cuts[how];
    }
    is_over = true;
    for (auto& each : running) each.join();
    for (auto const& [kind, count] : kinds) INFO(kind << " " << count);
    CHECK(wrong == 0);
    CHECK(unanswered > 0);
    CHECK(cuts.size() == 3);
    CHECK(server.ask("SELECT count(*) FROM effects") == std::to_string(keys));
    CHECK(server.ask("SELECT count(DISTINCT name) FROM effects") == std::to_string(keys));
    CHECK(server.ask("SELECT count(*) FROM idempo_records WHERE response IS NOT NULL") == std::to_string(keys));
}

TEST_CASE("transactional: an idle connection that a firewall has forgotten costs no request") {
    distant_scene distant(charge);
    auto& [server, network, scene] = distant;
    CHECK(scene.send("before").result_int() == 201);
    network.forget_connections();
    std::this_thread::sleep_for(2100ms);  // a connection that has been idle for two seconds is not waited for long
    CHECK(scene.send("after").result_int() == 201);
    CHECK(scene.runs == 2);
    CHECK(effects_in(server, "after") == "1");
}
