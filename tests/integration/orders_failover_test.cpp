// SPDX-License-Identifier: MIT
#include "support/campaign.hpp"
#include "support/catch.hpp"
#include "support/nginx.hpp"
#include "support/orders_scene.hpp"
#include "support/patient_clients.hpp"
#include "support/poll_until.hpp"
#include "support/server_process.hpp"

#include <csignal>
#include <cstddef>
#include <list>
#include <optional>
#include <string>

using namespace idempo::tests;

// Two instances behind nginx, which are killed in turn. Instrumented servers would show nothing more, and take long.
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)

TEST_CASE("orders: two instances behind nginx are killed in turn, and each key has one order") {
    if (!nginx::is_there()) {
        WARN("skipped: nginx is not installed; apt-get install nginx");
        return;
    }
    auto const mode = each_orders_mode();
    CAPTURE(mode);
    orders_stores const stores;
    set_orders_secret(orders_secret);
    std::list<std::optional<server_process>> instances(2);
    for (auto& each : instances) each.emplace(stores.flags(mode), orders_program());
    auto const first = instances.front()->port();
    auto const second = instances.back()->port();
    nginx const proxy({first, second});
    patient_clients clients(proxy.port(), 4);

    std::size_t const between = 10;
    for (int cycle = 0; cycle < campaign_cycles(6); ++cycle) {
        auto const answered = clients.answered();
        poll_until([&] { return clients.answered() >= answered + between; });
        auto& victim = cycle % 2 == 0 ? instances.front() : instances.back();
        victim->send_signal(SIGKILL);
        CHECK(victim->wait() == 128 + SIGKILL);
        // The other one serves all alone.
        auto const left = clients.answered();
        poll_until([&] { return clients.answered() >= left + between; });
        auto flags = mode;
        flags.insert(flags.end(), {"--port", std::to_string(cycle % 2 == 0 ? first : second)});
        victim.emplace(stores.flags(flags), orders_program());
        REQUIRE(victim->port() != 0);
    }
    clients.stop();

    auto const answers = clients.answers();
    CHECK(answers.size() > between);
    CHECK(stores.orders() == answers.size());
    for (auto const& [key, body] : answers) {
        CAPTURE(key, body);
        auto const row = stores.database.ask("SELECT id FROM orders WHERE idempotency_key = '" + key + "'");
        CHECK(body.find(row) != std::string::npos);
    }
}

#endif
