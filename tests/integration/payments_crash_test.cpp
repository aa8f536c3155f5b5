// SPDX-License-Identifier: MIT

// examples/payments under kills, with a provider that fails, hangs up and answers late: scripts/campaign runs them for
// longer.

#include "support/campaign.hpp"
#include "support/catch.hpp"
#include "support/payment_scene.hpp"
#include "support/postgres_server.hpp"
#include "support/redis_server.hpp"

#include <algorithm>
#include <cstddef>
#include <random>
#include <string>

using namespace idempo::tests;

namespace {

/// Every order that was paid had each effect once, and so had every other that began.
void check_effects(payment_scene const& scene, paying_clients const& clients) {
    auto const effects = scene.effects();
    std::size_t repeated = 0;
    for (auto const& [effect, count] : effects) {
        INFO(effect << ": " << count);
        CHECK(count == 1);
        repeated += count == 1 ? 0 : 1;
    }
    CHECK(repeated == 0);
    CHECK(effects.size() == 3 * clients.paid());
}

void check_payments(std::string const& store, bool is_keyless) {
    auto const seed = std::random_device{}();
    auto const kills = campaign_cycles(6);
    INFO("seed " << seed);
    payment_scene scene(store, is_keyless, seed);
    paying_clients clients(scene, 4);
    pay_under_kills(scene, clients, kills, seed);
    clients.stop();
    check_effects(scene, clients);
    // Otherwise nothing of what this is about has happened.
    CHECK(clients.paid() >= static_cast<std::size_t>(kills));
    CHECK(clients.answers(0) > 0);
    CHECK(clients.answers(503) + clients.answers(504) > 0);
    CHECK(clients.answers(409) > 0);
    WARN(clients.paid() << " payments, " << kills << " kills, " << clients.answers(0) << " answers lost, "
                        << clients.answers(409) << " told to wait, " << clients.answers(503) << " refused, "
                        << clients.answers(504) << " in doubt");
}

}  // namespace

TEST_CASE("payments: killed at random on Redis, each authorises, captures and notifies once") {
    redis_server const store({"--appendonly", "yes"});
    check_payments(store.url(), false);
}

TEST_CASE("payments: killed at random on Redis, with a provider that knows no keys, too") {
    redis_server const store({"--appendonly", "yes"});
    check_payments(store.url(), true);
}

TEST_CASE("payments: killed at random on PostgreSQL, each authorises, captures and notifies once") {
    postgres_server const store;
    check_payments("postgresql://idempo@/postgres?host=" + store.directory(), false);
}
