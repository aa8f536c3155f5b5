// SPDX-License-Identifier: MIT

// examples/payments under kills and stops, with a store that goes away, a network to it that is cut, silent, slow and
// loses answers, clients that hang up, and a provider that fails, hangs up and answers late: scripts/campaign runs them
// for longer.

#include "support/campaign.hpp"
#include "support/catch.hpp"
#include "support/fault_proxy.hpp"
#include "support/payment_faults.hpp"
#include "support/payment_scene.hpp"
#include "support/poll_until.hpp"
#include "support/postgres_server.hpp"
#include "support/redis_server.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <random>
#include <string>
#include <thread>

using namespace idempo::tests;

namespace {

/// Every order that was paid had each effect once. So had every other that began, unless its outcome is unknown: then
/// it had none twice.
void check_effects(payment_scene const& scene, paying_clients const& clients) {
    auto const effects = scene.effects();
    std::size_t repeated = 0;
    for (auto const& [effect, count] : effects) {
        INFO(effect << ": " << count);
        CHECK(count == 1);
        repeated += count == 1 ? 0 : 1;
    }
    CHECK(repeated == 0);
    CHECK(effects.size() >= 3 * clients.paid());
    CHECK(effects.size() <= 3 * (clients.paid() + clients.unknown().size()));
}

auto ask_again(payment_scene const& scene, std::string const& order) {
    return http_client(scene.port()).post("/payments", order, order);
}

/// What is not paid is parked, or held, and stays so, whoever asks; unless an attempt that was slow has paid it after
/// all. Returns how many were.
std::size_t check_unknown(payment_scene const& scene, paying_clients const& clients) {
    auto const effects = scene.effects();
    std::size_t paid_after_all = 0;
    for (auto const& order : clients.unknown()) {
        INFO(order);
        auto answer = ask_again(scene, order);
        // The store may still be on its way back.
        poll_until([&] {
            if (answer.result_int() == 503) answer = ask_again(scene, order);
            return answer.result_int() != 503;
        });
        if (answer.result_int() == 201) {
            ++paid_after_all;
            continue;
        }
        CHECK(answer.result_int() == 409);
        CHECK(answer.body().find("outcome-unknown") != std::string::npos);
    }
    CHECK(scene.effects() == effects);
    return paid_after_all;
}

/// Otherwise nothing of what this is about has happened.
void check_faults(payment_faults const& had, paying_clients const& clients, int kills) {
    CHECK(had.kills == kills);
    CHECK(had.stops > 0);
    CHECK(had.outages > 0);
    CHECK(had.cuts > 0);
    CHECK(had.lost_answers > 0);
    CHECK(had.silences > 0);
    CHECK(had.distances > 0);
    CHECK(clients.hung_up() > 0);
    CHECK(clients.paid() >= static_cast<std::size_t>(kills));
    CHECK(clients.answers(0) > 0);
    CHECK(clients.answers(503) + clients.answers(504) > 0);
    CHECK(clients.answers(409) > 0);
}

void tell(payment_faults const& had, paying_clients const& clients, payment_scene const& scene) {
    bool const parks = scene.kind() != provider_kind::knows_keys;
    WARN(clients.paid() << " payments, " << clients.unknown().size() << " left for a person, " << had.kills
                        << " kills, " << had.stops << " stops, " << had.outages
                        << " outages of the store; in the network " << had.cuts << " connections cut, "
                        << had.lost_answers << " times answers lost, " << had.silences << " silences, " << had.distances
                        << " distances; " << clients.hung_up() << " clients hung up, " << clients.answers(0)
                        << " answers lost, " << clients.answers(409) << " told to wait, " << clients.answers(503)
                        << " refused, " << clients.answers(504) << (parks ? " parked" : " in doubt"));
}

/// \param network to the store, which has the address `store` behind it
void check_payments(fault_proxy& network, std::string const& store, provider_kind kind,
                    std::function<void()> const& lose_store) {
    auto const seed = std::random_device{}();
    auto const kills = campaign_cycles(6);
    WARN("seed " << seed);
    payment_scene scene(store, kind, seed);
    paying_clients clients(scene, 4);
    auto const had = payment_trouble(scene, clients, network, lose_store, seed).make(kills);
    clients.stop();
    check_effects(scene, clients);
    check_faults(had, clients, kills);
    auto const paid_after_all = check_unknown(scene, clients);
    if (kind == provider_kind::tells_nothing) CHECK(clients.unknown().size() > paid_after_all);
    tell(had, clients, scene);
}

/// Kills the store and starts it again.
template <class Server>
auto outage_of(Server& store) {
    return [&store] {
        store.kill();
        // Clients meet the outage meanwhile; the test asserts that they did.
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
        store.start();
    };
}

void check_on_redis(provider_kind kind) {
    redis_server store({"--appendonly", "yes", "--appendfsync", "always"});
    fault_proxy network(store.port());
    check_payments(network, "redis://127.0.0.1:" + std::to_string(network.port()), kind, outage_of(store));
}

void check_on_postgres(provider_kind kind) {
    postgres_server store;
    fault_proxy network(store.directory() + "/.s.PGSQL.5432");
    auto const address = "postgresql://idempo@127.0.0.1:" + std::to_string(network.port()) + "/postgres";
    check_payments(network, address, kind, outage_of(store));
}

}  // namespace

TEST_CASE("payments: killed at random on Redis, each authorises, captures and notifies once") {
    check_on_redis(provider_kind::knows_keys);
}

TEST_CASE("payments: killed at random on Redis, with a provider that knows no keys, too") {
    check_on_redis(provider_kind::can_be_asked);
}

TEST_CASE(
    "payments: killed at random on Redis, with a provider that tells nothing, what is open is left for a person") {
    check_on_redis(provider_kind::tells_nothing);
}

TEST_CASE("payments: killed at random on PostgreSQL, each authorises, captures and notifies once") {
    check_on_postgres(provider_kind::knows_keys);
}

TEST_CASE("payments: killed at random on PostgreSQL, with a provider that knows no keys, too") {
    check_on_postgres(provider_kind::can_be_asked);
}

TEST_CASE(
    "payments: killed at random on PostgreSQL, with a provider that tells nothing, what is open is left for a person") {
    check_on_postgres(provider_kind::tells_nothing);
}
