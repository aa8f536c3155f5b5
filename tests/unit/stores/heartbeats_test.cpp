// SPDX-License-Identifier: MIT

// Many heartbeats on one timer. In real time, but no test measures it.

#include <idempo/key.hpp>
#include <idempo/stores/heartbeat.hpp>

#include "support/catch.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using idempo::detail::heartbeat;
using idempo::detail::heartbeats;
using idempo::detail::renewal;
namespace asio = boost::asio;

/// A store that answers each Renew at once, by a function of the test.
struct renewing {
    std::function<bool(idempo::store_key const&)> holds;
};

renewal renewal_of(std::shared_ptr<renewing> store) {
    return {std::move(store), [](void* owner, idempo::claim_request const& claim, renewal::handler renewed) {
                bool const held = static_cast<renewing*>(owner)->holds(claim.key);
                std::move(renewed)(idempo::error_code(), held);
            }};
}

idempo::claim_request claim_number(std::size_t number, std::chrono::milliseconds lease) {
    idempo::claim_request claim;
    claim.key = idempo::make_store_key({}, {}, std::to_string(number));
    claim.lease = lease;
    return claim;
}

}  // namespace

TEST_CASE("heartbeats: each of many claims is renewed in its time, and the context ends with the last", "[heartbeat]") {
    constexpr std::size_t claims = 200;
    constexpr int enough = 3;
    asio::io_context context;
    std::vector<idempo::claim_request> requests;
    std::vector<heartbeat> beats(claims);
    std::vector<int> renewals(claims, 0);
    auto const store = std::make_shared<renewing>();
    store->holds = [&](idempo::store_key const& key) {
        for (std::size_t number = 0; number < claims; ++number) {
            if (requests[number].key != key) continue;
            if (++renewals[number] == enough) asio::post(context, [&beats, number] { beats[number].stop(); });
        }
        return true;
    };
    auto const all = std::make_shared<heartbeats>(context.get_executor());
    for (std::size_t number = 0; number < claims; ++number) {
        // Not in the order in which they are due.
        requests.push_back(claim_number(number, 30ms + std::chrono::milliseconds(number * 7 % 30)));
        beats[number] = all->start(renewal_of(store), requests[number], std::chrono::steady_clock::now(), {});
    }
    context.run();
    for (auto const each : renewals) CHECK(each >= enough);
}

TEST_CASE("heartbeats: what one renewal throws keeps no other from its turn", "[heartbeat]") {
    asio::io_context context;
    auto const bad = std::make_shared<renewing>();
    bad->holds = [](idempo::store_key const&) -> bool { throw std::runtime_error("no"); };
    heartbeat good_beat;
    int renewals = 0;
    auto const good = std::make_shared<renewing>();
    good->holds = [&](idempo::store_key const&) {
        if (++renewals == 3) asio::post(context, [&] { good_beat.stop(); });
        return true;
    };
    auto const all = std::make_shared<heartbeats>(context.get_executor());
    auto const now = std::chrono::steady_clock::now();
    auto const bad_beat = all->start(renewal_of(bad), claim_number(1, 30ms), now, {});
    good_beat = all->start(renewal_of(good), claim_number(2, 30ms), now, {});
    CHECK_THROWS_AS(context.run(), std::runtime_error);
    context.run();
    CHECK(renewals >= 3);
}

TEST_CASE("heartbeats: a claim that was lost is not renewed again", "[heartbeat]") {
    asio::io_context context;
    int renewals = 0;
    auto const store = std::make_shared<renewing>();
    store->holds = [&](idempo::store_key const&) {
        ++renewals;
        return false;
    };
    std::vector<idempo::event_type> told;
    auto const all = std::make_shared<heartbeats>(context.get_executor());
    auto const beat = all->start(renewal_of(store), claim_number(1, 15ms), std::chrono::steady_clock::now(),
                                 [&](idempo::event const& event) { told.push_back(event.type); });
    context.run();
    CHECK(*beat.lost());
    CHECK(renewals == 1);
    CHECK(told == std::vector{idempo::event_type::lease_lost});
}

TEST_CASE("heartbeats: a heartbeat that ends lets go of its store, whether the context is there or not",
          "[heartbeat]") {
    auto store = std::make_shared<renewing>();
    std::weak_ptr<renewing> const watched = store;
    std::optional<asio::io_context> context(std::in_place);
    auto all = std::make_shared<heartbeats>(context->get_executor());
    auto beat = std::make_optional(
        all->start(renewal_of(std::move(store)), claim_number(1, 1h), std::chrono::steady_clock::now(), {}));
    SECTION("the context ends first") { context.reset(); }
    SECTION("the context ends last") { all.reset(); }
    CHECK_FALSE(watched.expired());
    beat.reset();
    CHECK(watched.expired());
}

TEST_CASE("heartbeats: threads begin and end them as they like", "[heartbeat][threads]") {
    auto const seed = std::random_device()();
    CAPTURE(seed);
    std::atomic<int> renewals{0};
    auto const store = std::make_shared<renewing>();
    store->holds = [&renewals](idempo::store_key const&) {
        ++renewals;
        return true;
    };
    asio::thread_pool pool(2);
    auto const all = std::make_shared<heartbeats>(pool.get_executor());
    std::vector<std::thread> threads;
    for (unsigned number = 0; number < 4; ++number) {
        threads.emplace_back([&, number] {
            std::mt19937 random(seed + number);
            std::vector<heartbeat> beats(8);
            // Until enough has been renewed, however slow the machine is.
            for (unsigned step = 0; step < 2'000 || renewals < 100; ++step) {
                auto& beat = beats[random() % beats.size()];
                auto const claim = claim_number(random(), std::chrono::milliseconds(3 + random() % 9));
                switch (random() % 3) {
                case 0: beat.stop(); break;
                case 1: beat = heartbeat(); break;
                default: beat = all->start(renewal_of(store), claim, std::chrono::steady_clock::now(), {}); break;
                }
                if (random() % 50 == 0) std::this_thread::sleep_for(1ms);  // or none would ever be due
            }
        });
    }
    for (auto& each : threads) each.join();
    pool.join();  // and returns: no timer is left for a claim that has ended
    CHECK(renewals >= 100);
}
