// SPDX-License-Identifier: MIT
#include "support/campaign.hpp"
#include "support/catch.hpp"
#include "support/effect_ledger.hpp"
#include "support/fault_proxy.hpp"
#include "support/inspectable_redis.hpp"
#include "support/poll_until.hpp"
#include "support/record_burst.hpp"
#include "support/redis_scene.hpp"
#include "support/redis_server.hpp"
#include "support/requests.hpp"

#include <idempo/layers/idempotency.hpp>
#include <idempo/redis/store.hpp>
#include <idempo/store.hpp>
#include <idempo/stores/blocking.hpp>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <string>
#include <thread>
#include <variant>

using namespace idempo::tests;
using namespace idempo;

// What a failover loses, and what `wait_replicas` changes about it.

namespace {

/// A primary and its replica.
struct replicated_redis {
    redis_server primary{{"--repl-diskless-sync-delay", "0"}};
    fault_proxy way{primary.port()};  // of what is replicated
    redis_server replica{{"--replicaof", "127.0.0.1", std::to_string(way.port())}};

    replicated_redis() {
        poll_until([this] { return info_field(replica.ask({"INFO", "replication"}), "master_link_status") == "up"; });
    }

    /// What an operator or a sentinel does.
    void fail_over() {
        primary.kill();
        replica.ask({"REPLICAOF", "NO", "ONE"});
    }
};

redis_options waiting_for_one_replica(std::uint16_t port) {
    auto options = local_redis(port);
    options.wait_replicas = {1, 100ms};
    return options;
}

}  // namespace

TEST_CASE("redis: without wait_replicas a failover may lose an acknowledged claim") {
    replicated_redis redis;
    inspectable_redis store(local_redis(redis.primary.port()));
    REQUIRE(works(store));
    redis.way.hold();
    effect_ledger ledger;
    CHECK_FALSE(execute(store, numbered_key(1), ledger).first);
    redis.fail_over();
    inspectable_redis after(local_redis(redis.replica.port()));
    poll_until([&] { return works(after); });
    CHECK_FALSE(execute(after, numbered_key(1), ledger).first);
    CHECK(ledger.size() == 2);  // the duplicate that docs/guarantees.md admits
}

TEST_CASE("redis: with wait_replicas a claim that no replica has is refused and leaves nothing behind") {
    replicated_redis redis;
    inspectable_redis store(waiting_for_one_replica(redis.primary.port()));
    poll_until([&] { return works(store); });  // the link is up before the replica has acknowledged anything
    effect_ledger ledger;
    auto handle = idempotency(blocking(store.async())) | [&](text_request const& request) {
        ledger.append("effect");
        return text_response(http::status::created, request.version());
    };
    auto const request = keyed_request();

    redis.replica.send_signal(SIGSTOP);
    CHECK(handle(request).result() == http::status::service_unavailable);
    CHECK(ledger.size() == 0);
    redis.replica.send_signal(SIGCONT);
    poll_until([&] { return works(store); });
    CHECK(handle(request).result() == http::status::created);  // no claim of the refused one is in its way
    CHECK(ledger.size() == 1);

    redis.replica.send_signal(SIGSTOP);
    auto const replay = handle(request);  // what is only read waits for nobody
    CHECK(replay.result() == http::status::created);
    CHECK(ledger.size() == 1);
    redis.replica.send_signal(SIGCONT);
}

TEST_CASE("redis: with wait_replicas a retried call waits for the replica as the first one did") {
    replicated_redis redis;
    auto const claim = claim_of(numbered_key(1));
    {
        inspectable_redis store(local_redis(redis.primary.port()));
        redis.replica.send_signal(SIGSTOP);
        error_code error;
        REQUIRE(std::holds_alternative<granted>(store.claim(claim, error)));
    }
    // A connection that has written nothing yet: WAIT alone would have nothing to wait for.
    inspectable_redis store(waiting_for_one_replica(redis.primary.port()));
    error_code error;
    poll_until([&] {
        static_cast<void>(store.peek(claim.key, error));
        return !error;
    });
    static_cast<void>(store.claim(claim, error));
    CHECK(error == error::store_unavailable);
    static_cast<void>(store.complete(complete_of(claim, "first"), error));
    CHECK(error == error::store_unavailable);
    static_cast<void>(store.complete(complete_of(claim, "first"), error));
    CHECK(error == error::store_unavailable);
    redis.replica.send_signal(SIGCONT);
    poll_until([&] { return works(store); });
    CHECK(std::holds_alternative<done>(store.complete(complete_of(claim, "first"), error)));
    CHECK_FALSE(error);
}

TEST_CASE("redis: with wait_replicas a failover loses nothing that was acknowledged") {
    int const cycles = campaign_cycles(10);
    constexpr std::size_t records = 40;
    std::size_t acknowledged = 0;
    for (int cycle = 0; cycle < cycles; ++cycle) {
        CAPTURE(cycle);
        replicated_redis redis;
        inspectable_redis store(waiting_for_one_replica(redis.primary.port()));
        poll_until([&] { return works(store); });
        record_burst many(store.async(), 0, records);
        many.await_claims(static_cast<std::size_t>(cycle) * 7 % records);
        redis.fail_over();
        many.await();
        inspectable_redis after(local_redis(redis.replica.port()));
        poll_until([&] { return works(after); });
        acknowledged += many.check(after);
    }
    CHECK(acknowledged > static_cast<std::size_t>(cycles) * 5);
}
