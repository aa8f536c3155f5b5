// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/inspectable_redis.hpp"
#include "support/pending_answer.hpp"
#include "support/redis_scene.hpp"
#include "support/redis_server.hpp"
#include <idempo/redis/operations/operations.hpp>
#include <idempo/redis/operations/record.hpp>

#include <idempo/redis/store.hpp>
#include <idempo/store.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <future>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

using namespace idempo::tests;
using namespace idempo;

// A server that answers, but not as it should: each state is a real one of a real server. All fail closed.

namespace {

std::string key_name(store_key const& key) { return redis::redis_key("idempo:", key); }

/// A server in a bad state, and the error with which requests fail meanwhile.
struct bad_state {
    std::string name;
    std::function<void(redis_server&)> begin;
    std::function<void(redis_server&)> end;
};

void reconnect_all(redis_server& server) { server.ask({"CLIENT", "KILL", "TYPE", "normal"}); }

std::vector<bad_state> const bad_states = {
    {"READONLY",
     [](auto& server) {
         server.ask({"REPLICAOF", "127.0.0.1", "1"});
     },
     [](auto& server) {
         server.ask({"REPLICAOF", "NO", "ONE"});
     }},
    {"MASTERDOWN",
     [](auto& server) {
         server.ask({"CONFIG", "SET", "replica-serve-stale-data", "no"});
         server.ask({"REPLICAOF", "127.0.0.1", "1"});
     },
     [](auto& server) {
         server.ask({"REPLICAOF", "NO", "ONE"});
     }},
    {"NOREPLICAS",
     [](auto& server) {
         server.ask({"CONFIG", "SET", "min-replicas-to-write", "1"});
     },
     [](auto& server) {
         server.ask({"CONFIG", "SET", "min-replicas-to-write", "0"});
     }},
    {"MISCONF",
     [](auto& server) {
         std::filesystem::create_directory(server.directory() + "/dump.rdb");  // so that no snapshot gets its name
         server.ask({"CONFIG", "SET", "save", "3600 1"});
         server.ask({"BGSAVE"});
         poll_until([&] { return server.ask({"SET", "x", "1"}).starts_with("MISCONF"); });
     },
     [](auto& server) {
         std::filesystem::remove(server.directory() + "/dump.rdb");
         server.ask({"BGSAVE"});
         poll_until([&] { return server.ask({"SET", "x", "1"}) == "OK"; });
     }},
    {"NOPERM",
     [](auto& server) {
         server.ask({"ACL", "SETUSER", "default", "-set", "-evalsha", "-eval"});
     },
     [](auto& server) {
         server.ask({"ACL", "SETUSER", "default", "+set", "+evalsha", "+eval"});
     }},
    {"evicts",
     [](auto& server) {
         server.ask({"CONFIG", "SET", "maxmemory-policy", "allkeys-lru"});
         reconnect_all(server);
     },
     [](auto& server) {
         server.ask({"CONFIG", "SET", "maxmemory-policy", "noeviction"});
     }},
};

}  // namespace

TEST_CASE("redis: a server in a bad state fails closed, and works again when that is over") {
    for (auto const& state : bad_states) {
        INFO(state.name);
        redis_server server;
        inspectable_redis store(local_redis(server.port()));
        REQUIRE(works(store));
        effect_ledger ledger;
        state.begin(server);
        for (std::size_t number = 0; number < 5; ++number) {
            auto const error = execute(store, numbered_key(number), ledger).first;
            CHECK((error == error::store_unavailable || error == error::store_timed_out));
        }
        CHECK(ledger.size() == 0);
        state.end(server);
        auto const start = std::chrono::steady_clock::now();
        poll_until([&] { return works(store); });
        CHECK(std::chrono::steady_clock::now() - start < 2s);
    }
}

TEST_CASE("redis: a server with too many clients fails closed, and works again when one has gone") {
    redis_server server({"--maxclients", "1"});
    std::optional<inspectable_redis> other(local_redis(server.port()));
    poll_until([&] { return works(*other); });
    inspectable_redis store(local_redis(server.port()));
    effect_ledger ledger;
    for (std::size_t number = 0; number < 20; ++number) {
        // Timed out where a pause between attempts is longer than the deadline.
        auto const error = execute(store, numbered_key(number), ledger).first;
        CHECK((error == error::store_unavailable || error == error::store_timed_out));
    }
    CHECK(ledger.size() == 0);
    other.reset();
    auto const start = std::chrono::steady_clock::now();
    poll_until([&] { return works(store); });
    CHECK(std::chrono::steady_clock::now() - start < 2s);
}

TEST_CASE("redis: BUSY with somebody's script fails closed") {
    redis_server server({"--lua-time-limit", "10"});
    inspectable_redis store(local_redis(server.port()));
    REQUIRE(works(store));
    effect_ledger ledger;
    std::jthread const busy([&] { server.ask({"EVAL", "while true do end", "0"}); });
    poll_until([&] { return server.ask({"GET", "x"}).starts_with("BUSY"); });
    for (std::size_t number = 0; number < 20; ++number) {
        CHECK(execute(store, numbered_key(number), ledger).first == error::store_unavailable);
    }
    server.ask({"SCRIPT", "KILL"});
    poll_until([&] { return works(store); });
    CHECK(ledger.size() == 0);
}

TEST_CASE("redis: AUTH with user and password, and SELECT") {
    redis_server server;
    server.ask({"ACL", "SETUSER", "idempo", "on", ">secret", "~idempo:*", "+@all", "-@dangerous", "+info"});
    server.ask({"ACL", "SETUSER", "default", "off"});
    auto options = local_redis(server.port());
    options.user = "idempo";
    options.password = "secret";
    options.database = 5;
    inspectable_redis store(options);
    CHECK(works(store));

    inspectable_redis unknown(local_redis(server.port()));
    CHECK_FALSE(works(unknown));

    options.password = "wrong";
    std::atomic<int> refusals{0};
    options.observer = [&](redis_event const& event) { refusals += event.problem == redis_problem::not_permitted; };
    inspectable_redis refused(options);
    CHECK_FALSE(works(refused));
    CHECK(refusals > 0);
}

TEST_CASE("redis: the server's state is reported") {
    redis_server server({"--appendonly", "yes"});
    auto options = local_redis(server.port());
    std::promise<redis_event> first;
    std::atomic<int> events{0};
    options.observer = [&](redis_event const& event) {
        if (events++ == 0) first.set_value(event);
        throw std::runtime_error("observers may throw");
    };
    inspectable_redis store(options);
    REQUIRE(works(store));
    auto const event = first.get_future().get();
    CHECK(event.problem == redis_problem::none);
    CHECK(event.server.major >= 6);
    CHECK(event.server.is_primary);
    CHECK(event.server.eviction_policy == "noeviction");
    CHECK(event.server.has_append_only_file);
}

TEST_CASE("redis: an eviction policy is refused unless it is allowed") {
    redis_server server({"--maxmemory-policy", "volatile-ttl"});
    auto options = local_redis(server.port());
    inspectable_redis refused(options);
    CHECK_FALSE(works(refused));
    options.allow_eviction = true;
    inspectable_redis allowed(options);
    CHECK(works(allowed));
}

TEST_CASE("redis: a policy that is changed under a connection that works is noticed") {
    redis_server server;
    auto options = local_redis(server.port());
    options.health_interval = 20ms;
    std::atomic<int> reports{0};
    options.observer = [&](redis_event const& event) {
        reports += event.problem == redis_problem::evicts && event.server.eviction_policy == "allkeys-lru";
    };
    inspectable_redis store(options);
    REQUIRE(works(store));
    server.ask({"CONFIG", "SET", "maxmemory-policy", "allkeys-lru"});
    poll_until([&] { return reports > 0; });
    effect_ledger ledger;
    CHECK(execute(store, numbered_key(1), ledger).first);
    CHECK(ledger.size() == 0);
    server.ask({"CONFIG", "SET", "maxmemory-policy", "noeviction"});
    poll_until([&] { return works(store); });
}

TEST_CASE("redis: a server that has become a replica is noticed without traffic") {
    redis_server server;
    auto options = local_redis(server.port());
    options.health_interval = 20ms;
    std::atomic<int> reports{0};
    options.observer = [&](redis_event const& event) { reports += event.problem == redis_problem::not_ready; };
    inspectable_redis store(options);
    REQUIRE(works(store));
    server.ask({"REPLICAOF", "127.0.0.1", "1"});
    poll_until([&] { return reports > 0; });
}

TEST_CASE("redis: a full server refuses new claims, and tells of, completes and renews those it has") {
    redis_server server;
    inspectable_redis store(local_redis(server.port()));
    error_code error;
    auto const held = claim_of(numbered_key(1));
    auto const stored = claim_of(numbered_key(2));
    store.claim(held, error);
    store.claim(stored, error);
    static_cast<void>(store.complete(complete_of(stored, "stored"), error));
    REQUIRE_FALSE(error);
    server.ask({"CONFIG", "SET", "maxmemory", "1"});

    effect_ledger ledger;
    CHECK(execute(store, numbered_key(3), ledger).first == error::store_full);
    CHECK(ledger.size() == 0);
    auto replay = claim_of(stored.key);
    CHECK(std::holds_alternative<completed>(store.claim(replay, error)));
    CHECK_FALSE(error);
    CHECK(std::holds_alternative<in_flight>(store.claim(claim_of(held.key), error)));
    CHECK_FALSE(error);
    CHECK(store.renew(held.key, held.fencing_token, 30s, error));
    CHECK_FALSE(error);
    static_cast<void>(store.complete(complete_of(held, std::string(small_record_bytes + 1, 'x')), error));
    CHECK(error == error::store_full);
    CHECK(std::holds_alternative<done>(store.complete(complete_of(held, std::string(small_record_bytes, 'x')), error)));
    CHECK_FALSE(error);
}

TEST_CASE("redis: a foreign value under our key is an error, and is left alone") {
    redis_server server;
    inspectable_redis store(local_redis(server.port()));
    error_code error;
    auto const open = claim_of(numbered_key(1));
    auto const shut = claim_of(numbered_key(2));
    std::vector<std::pair<claim_request, std::string>> damaged;
    for (auto const& [claim, value] :
         {std::pair(open, redis::write_open(open)), std::pair(shut, redis::write_done(complete_of(shut, "stored")))}) {
        for (std::size_t bit = 0; bit < 8 * redis::header_size; ++bit) {
            auto flipped = value;
            flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
            damaged.emplace_back(claim, flipped);
        }
        for (std::size_t size = 0; size < value.size(); ++size) damaged.emplace_back(claim, value.substr(0, size));
        damaged.emplace_back(claim, value + 'x');
        damaged.emplace_back(claim, std::string(200, 'x'));
    }
    effect_ledger ledger;
    for (auto const& [claim, value] : damaged) {
        auto const name = key_name(claim.key);
        server.ask({"SET", name, value, "PX", "60000"});
        CHECK(execute(store, claim.key, ledger).first == error::record_unreadable);
        static_cast<void>(store.complete(complete_of(claim, "other"), error));
        CHECK(error == error::record_unreadable);
        CHECK_FALSE(store.renew(claim.key, claim.fencing_token, 30s, error));
        CHECK(error == error::record_unreadable);
        store.abandon(claim.key, claim.fencing_token, error);
        CHECK(error == error::record_unreadable);
        CHECK_FALSE(store.peek(claim.key, error));
        CHECK(error == error::record_unreadable);
        CHECK(server.ask({"GET", name}) == value);
    }
    CHECK(ledger.size() == 0);
    CHECK(store.forget(open.key, error));
}

TEST_CASE("redis: a value of another type under our key is an error, and is left alone") {
    redis_server server;
    inspectable_redis store(local_redis(server.port()));
    auto const claim = claim_of(numbered_key(1));
    auto const name = key_name(claim.key);
    server.ask({"LPUSH", name, "x"});
    error_code error;
    effect_ledger ledger;
    CHECK(execute(store, claim.key, ledger).first == error::record_unreadable);
    static_cast<void>(store.complete(complete_of(claim, "other"), error));
    CHECK(error == error::record_unreadable);
    CHECK_FALSE(store.renew(claim.key, claim.fencing_token, 30s, error));
    CHECK(error == error::record_unreadable);
    store.abandon(claim.key, claim.fencing_token, error);
    CHECK(error == error::record_unreadable);
    CHECK(server.ask({"TYPE", name}) == "list");
    CHECK(ledger.size() == 0);
    CHECK(works(store));
}

TEST_CASE("redis: a repeated Complete gives a record that somebody made to last its end again") {
    redis_server server;
    inspectable_redis store(local_redis(server.port()));
    auto const claim = claim_of(numbered_key(1));
    error_code error;
    store.claim(claim, error);
    CHECK(std::holds_alternative<done>(store.complete(complete_of(claim, "stored"), error)));
    server.ask({"PERSIST", key_name(claim.key)});
    CHECK(std::holds_alternative<done>(store.complete(complete_of(claim, "stored"), error)));
    CHECK(std::stoll(server.ask({"PTTL", key_name(claim.key)})) > 0);
    CHECK(std::holds_alternative<completed>(store.claim(claim_of(claim.key), error)));
}

TEST_CASE("redis: after Abandon of a takeover the next attempt is numbered on") {
    redis_server server;
    bool const is_full = GENERATE(false, true);
    inspectable_redis store(local_redis(server.port()));
    error_code error;
    auto const first = claim_of(numbered_key(1), 1ms);
    store.claim(first, error);
    auto const second = claim_of(first.key);
    poll_until([&] { return std::holds_alternative<granted>(store.claim(second, error)); });
    if (is_full) server.ask({"CONFIG", "SET", "maxmemory", "1"});
    store.abandon(second.key, second.fencing_token, error);
    CHECK_FALSE(error);
    server.ask({"CONFIG", "SET", "maxmemory", "0"});

    auto const found = store.peek(first.key, error);
    REQUIRE(found);
    CHECK(found->attempt == 1);
    CHECK(found->lease_remaining <= 0ms);
    CHECK(found->expires_in > 59min);
    auto stranger = claim_of(first.key);
    stranger.fingerprint.bytes[0] ^= 1;
    CHECK(std::holds_alternative<mismatch>(store.claim(stranger, error)));
    auto reconciling = claim_of(first.key);
    reconciling.take_over = false;
    CHECK(std::holds_alternative<expired>(store.claim(reconciling, error)));
    CHECK_FALSE(store.renew(second.key, second.fencing_token, 1s, error));
    auto const third = store.claim(claim_of(first.key), error);
    REQUIRE(std::holds_alternative<granted>(third));
    CHECK(std::get<granted>(third).attempt == 2);
}

TEST_CASE("redis: a record that somebody made to last is unreadable, once it matters") {
    redis_server server;
    inspectable_redis store(local_redis(server.port()));
    auto const claim = claim_of(numbered_key(1));
    error_code error;
    store.claim(claim, error);
    server.ask({"PERSIST", key_name(claim.key)});
    effect_ledger ledger;
    CHECK(execute(store, claim.key, ledger).first == error::record_unreadable);
    CHECK(ledger.size() == 0);
}

TEST_CASE("redis: a lease that would never end is refused") {
    redis_server server;
    inspectable_redis store(local_redis(server.port()));
    error_code error;
    static_cast<void>(store.claim(claim_of(numbered_key(1), no_lease), error));
    CHECK(error == boost::system::errc::invalid_argument);
    CHECK_FALSE(store.renew(numbered_key(1), make_fencing_token(), no_lease, error));
    CHECK(error == boost::system::errc::invalid_argument);
}
