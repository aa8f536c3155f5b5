// SPDX-License-Identifier: MIT
#include "simulation/scenario.hpp"

#include <algorithm>
#include <vector>

namespace idempo::simulation {

namespace {

/// Zero in most worlds, so that each kind of trouble is also seen alone.
unsigned sometimes(random_source& random, unsigned in_100, int most) {
    if (!random.in_100(in_100)) return 0;
    return static_cast<unsigned>(random.between(1, most));
}

fault_plan make_faults(random_source& random) {
    fault_plan faults;
    faults.longest_delay = random.one_of<milliseconds>({milliseconds{1}, milliseconds{5}, milliseconds{30}});
    if (random.in_100(10)) return faults;
    faults.lost_requests = sometimes(random, 40, 80);
    faults.lost_answers = sometimes(random, 40, 80);
    faults.duplicates = sometimes(random, 40, 100);
    faults.lost_http = sometimes(random, 50, 150);
    faults.cuts = sometimes(random, 30, 6);
    faults.deaths = sometimes(random, 40, 5);
    faults.shutdowns = sometimes(random, 20, 3);
    faults.stops = sometimes(random, 40, 5);
    faults.clock_jumps = sometimes(random, 20, 4);
    faults.slow_or_fast_clocks = sometimes(random, 15, 2);
    faults.store_outages = sometimes(random, 25, 3);
    faults.store_clock_jumps = sometimes(random, 5, 2);
    faults.losses = sometimes(random, 10, 2);
    return faults;
}

service_plan make_service(random_source& random) {
    service_plan service;
    service.with_steps = random.one_of<unsigned>({0, 0, 500, 1000});
    service.slow = sometimes(random, 50, 300);
    service.fails_before_effect = sometimes(random, 40, 300);
    service.fails_after_effect = sometimes(random, 15, 300);
    service.keeps_failure = sometimes(random, 20, 200);
    service.says_unknown = sometimes(random, 25, 300);
    service.says_release = sometimes(random, 20, 200);
    service.declines = sometimes(random, 30, 200);
    service.large_answers = sometimes(random, 20, 200);
    return service;
}

idempo::options make_options(random_source& random) {
    idempo::options options;
    options.scope = scope::single_tenant();
    options.lease = milliseconds(random.one_of<int>({400, 1000, 3000}));
    options.heartbeat = random.in_100(75);
    options.retention = std::chrono::hours{1};
    options.wait = random.in_100(30) ? milliseconds(random.between(50, 2000)) : milliseconds{0};
    options.persist_timeout = milliseconds(random.between(200, 3000));
    options.on_throw =
        random.one_of<on_throw>({on_throw::release, on_throw::release, on_throw::hold, on_throw::store_500});
    options.on_takeover =
        random.one_of<on_takeover>({on_takeover::run, on_takeover::run, on_takeover::reconcile, on_takeover::hold});
    if (random.in_100(10)) options.on_duplicate = on_duplicate::reject;
    if (random.in_100(5)) options.on_store_error = on_store_error::run_unprotected;
    if (random.in_100(10)) options.retention = milliseconds(random.between(500, 3000));
    if (random.in_100(20)) options.remember_expired = std::chrono::hours{10};
    options.max_response_body = 1000;
    return options;
}

redis_plan make_redis_plan(random_source random) {
    redis_plan plan;
    plan.waits_for_replica = random.in_100(30);
    plan.claims_by_script = random.in_100(20);
    plan.connections = random.in_100(50) ? 1 : 2;
    plan.connect_timeout = milliseconds(random.between(300, 1000));
    plan.health_interval = milliseconds(random.one_of<int>({500, 5000, 60'000}));
    plan.stores_large_answers = random.in_100(10);
    return plan;
}

postgres_plan make_postgres_plan(random_source random) {
    postgres_plan plan;
    plan.workers = random.in_100(50) ? 1 : 2;
    plan.connect_timeout = milliseconds(random.between(300, 1000));
    plan.sweep_interval = milliseconds(random.one_of<int>({0, 100, 1000}));
    plan.is_serializable = random.in_100(15);
    plan.is_synchronous = random.in_100(30);
    plan.stores_large_answers = random.in_100(10);
    return plan;
}

/// What both servers of databases have in common.
void set_up_for_server(scenario& made, bool stores_large_answers, random_source& random) {
    if (stores_large_answers) {
        made.options.max_response_body = 80'000;
        made.service.large_answers = 300;
    }
    bool const remembers = made.options.remember_expired > std::chrono::milliseconds::zero();
    if (remembers && random.in_100(70)) made.options.remember_expired = milliseconds(random.between(1000, 5000));
}

}  // namespace

scenario make_scenario(std::uint64_t seed, std::optional<store_kind> store) {
    random_source random(seed);
    scenario made;
    made.seed = seed;
    made.processes = static_cast<unsigned>(random.between(1, 4));
    made.keys = static_cast<unsigned>(random.between(1, 4));
    made.clients_per_key = static_cast<unsigned>(random.between(1, 4));
    made.other_payloads = random.in_100(30) ? 25 : 0;
    made.arrivals = milliseconds(random.between(20, 3000));
    made.troubled = made.arrivals + milliseconds(random.between(500, 6000));
    made.store_timeout = milliseconds(random.between(100, 600));
    made.resends_after_cut = random.in_100(60);
    made.faults = make_faults(random);
    made.service = make_service(random);
    made.options = make_options(random);
    made.reconciles = made.options.on_takeover == on_takeover::reconcile || random.in_100(50);
    // From a source of its own: a world in memory is the same as before there were others.
    random_source more(seed ^ 0x570BEU);
    bool const is_redis = more.in_100(50);
    made.store = is_redis ? store_kind::redis : store_kind::memory;
    random_source third(seed ^ 0x905765U);
    if (third.in_100(33)) made.store = store_kind::postgresql;
    made.store = store.value_or(made.store);
    if (made.store == store_kind::redis) {
        made.redis = make_redis_plan(more.fork());
        set_up_for_server(made, made.redis.stores_large_answers, more);
    }
    if (made.store == store_kind::postgresql) {
        made.postgres = make_postgres_plan(third.fork());
        // A worker has one statement under way at a time: the network must let it come and go in time.
        made.faults.longest_delay = std::min(made.faults.longest_delay, milliseconds{10});
        made.store_timeout = std::max(made.store_timeout, 20 * made.faults.longest_delay);
        set_up_for_server(made, made.postgres.stores_large_answers, third);
    }
    return made;
}

}  // namespace idempo::simulation
