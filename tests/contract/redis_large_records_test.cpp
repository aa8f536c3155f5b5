// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/fault_proxy.hpp"
#include "support/heap_use.hpp"
#include "support/inspectable_redis.hpp"
#include "support/pending_answer.hpp"
#include "support/redis_scene.hpp"
#include "support/redis_server.hpp"
#include <idempo/redis/operations/operations.hpp>

#include <idempo/redis/store.hpp>
#include <idempo/store.hpp>

#include <csignal>
#include <cstddef>
#include <string>
#include <utility>
#include <variant>
#include <vector>

using namespace idempo::tests;
using namespace idempo;

// A large record is moved only to whom it is for, and leaves no memory behind.

namespace {

std::string const large(1'000'000, 'x');

redis_options patient_redis(std::uint16_t port) {
    auto options = local_redis(port);
    options.operation_timeout = 5s;  // a slow machine is no outage
    options.claim_by_script = GENERATE(false, true);
    return options;
}

std::string name_of(claim_request const& claim) { return redis::redis_key("idempo:", claim.key); }

/// A claim that has been completed with a large record.
claim_request stored(inspectable_redis& store) {
    auto const claim = claim_of(numbered_key(1));
    error_code error;
    REQUIRE(std::holds_alternative<granted>(store.claim(claim, error)));
    REQUIRE(std::holds_alternative<done>(store.complete(complete_of(claim, large), error)));
    return claim;
}

claim_request with_other_fingerprint(claim_request claim) {
    claim.fingerprint.bytes[0] ^= 1;
    claim.fencing_token = make_fencing_token();
    return claim;
}

/// By another request of the same client.
claim_request retry_of(claim_request claim) {
    claim.fencing_token = make_fencing_token();
    return claim;
}

}  // namespace

TEST_CASE("redis: a mismatch does not move a large record") {
    redis_server const server;
    fault_proxy network(server.port());
    inspectable_redis store(patient_redis(network.port()));
    auto const claim = stored(store);
    auto const before = network.reply_bytes();
    error_code error;
    for (int number = 0; number < 10; ++number) {
        auto const answer = store.claim(with_other_fingerprint(claim), error);
        REQUIRE(std::holds_alternative<mismatch>(answer));
        CHECK(std::get<mismatch>(answer).recorded == claim.fingerprint);
    }
    CHECK(std::holds_alternative<mismatch>(store.complete(complete_of(with_other_fingerprint(claim), "other"), error)));
    CHECK(network.reply_bytes() - before < 11 * 1000);
}

TEST_CASE("redis: each operation meets a large record as it does a small one") {
    redis_server const server;
    inspectable_redis store(patient_redis(server.port()));
    auto const claim = stored(store);
    error_code error;
    auto const replay = store.claim(claim_of(claim.key), error);
    REQUIRE(std::holds_alternative<completed>(replay));
    CHECK(std::get<completed>(replay).record.view() == large);
    auto const rival = store.complete(complete_of(claim_of(claim.key), "other"), error);
    REQUIRE(std::holds_alternative<completed>(rival));
    CHECK(std::get<completed>(rival).record.view() == large);
    CHECK(std::holds_alternative<done>(store.complete(complete_of(claim, large), error)));
    CHECK_FALSE(store.renew(claim.key, claim.fencing_token, 30s, error));
    store.abandon(claim.key, claim.fencing_token, error);
    CHECK_FALSE(error);
    auto const found = store.peek(claim.key, error);
    REQUIRE(found);
    CHECK(found->state == record_state::completed);
    CHECK(found->record_bytes == large.size());
    CHECK(found->expires_in > 59min);
    CHECK(found->expires_in <= 1h);
    CHECK(store.forget(claim.key, error));
    CHECK_FALSE(store.peek(claim.key, error));
    CHECK_FALSE(error);
}

TEST_CASE("redis: a large record keeps its attempt, and its end") {
    redis_server const server;
    inspectable_redis store(patient_redis(server.port()));
    error_code error;
    store.claim(claim_of(numbered_key(1), 1ms), error);
    auto const second = claim_of(numbered_key(1));
    poll_until([&] { return std::holds_alternative<granted>(store.claim(second, error)); });
    CHECK(std::holds_alternative<done>(store.complete(complete_of(second, large), error)));
    CHECK(store.peek(second.key, error)->attempt == 2);
    CHECK(std::stoll(server.ask({"PTTL", name_of(second)})) > 0);
    server.ask({"PERSIST", name_of(second)});
    CHECK(std::holds_alternative<done>(store.complete(complete_of(second, large), error)));
    CHECK(std::stoll(server.ask({"PTTL", name_of(second)})) > 0);
}

TEST_CASE("redis: a full server refuses a large record, and keeps the claim") {
    redis_server const server;
    inspectable_redis store(patient_redis(server.port()));
    auto const claim = claim_of(numbered_key(1));
    error_code error;
    store.claim(claim, error);
    server.ask({"CONFIG", "SET", "maxmemory", "1"});
    static_cast<void>(store.complete(complete_of(claim, large), error));
    CHECK(error == error::store_full);
    CHECK(store.renew(claim.key, claim.fencing_token, 30s, error));
    server.ask({"CONFIG", "SET", "maxmemory", "0"});
    CHECK(std::holds_alternative<done>(store.complete(complete_of(claim, large), error)));
}

TEST_CASE("redis: a damaged large record is an error, and is left alone") {
    redis_server const server;
    inspectable_redis store(patient_redis(server.port()));
    auto const claim = stored(store);
    auto const name = name_of(claim);
    SECTION("without its answer") { server.ask({"HDEL", name, "answer"}); }
    SECTION("without its header") { server.ask({"HDEL", name, "header"}); }
    SECTION("with another answer") { server.ask({"HSET", name, "answer", "short"}); }
    SECTION("somebody's own hash") {
        server.ask({"DEL", name});
        server.ask({"HSET", name, "a", "b"});
    }
    auto const value = server.ask({"HGETALL", name});
    error_code error;
    static_cast<void>(store.claim(claim_of(claim.key), error));
    CHECK(error == error::record_unreadable);
    static_cast<void>(store.complete(complete_of(claim, "other"), error));
    CHECK(error == error::record_unreadable);
    CHECK_FALSE(store.renew(claim.key, claim.fencing_token, 30s, error));
    CHECK(error == error::record_unreadable);
    store.abandon(claim.key, claim.fencing_token, error);
    CHECK(error == error::record_unreadable);
    CHECK_FALSE(store.peek(claim.key, error));
    CHECK(error == error::record_unreadable);
    CHECK(server.ask({"HGETALL", name}) == value);
}

TEST_CASE("redis: a herd of retries of one large answer shares it") {
    redis_server server;
    fault_proxy network(server.port());
    auto options = patient_redis(network.port());
    inspectable_redis store(options);
    auto const claim = stored(store);
    network.delay(3ms);
    // Each for himself, they would need 20 s and more.
    network.throttle(10 * large.size());
    std::vector<pending_answer<claim_result>> herd;
    for (int i = 0; i < 200; ++i) herd.push_back(begin_claim(store.async(), retry_of(claim)));
    for (auto& each : herd) {
        auto const [error, found] = each.get();
        REQUIRE_FALSE(error);
        REQUIRE(std::holds_alternative<completed>(found));
        CHECK(std::get<completed>(found).record.view() == large);
    }
    CHECK(works(store));
}

TEST_CASE(
    "redis: many large answers are stored and replayed however long they take together, and small claims pass them") {
    redis_server server;
    fault_proxy network(server.port());
    auto options = patient_redis(network.port());
    options.operation_timeout = 1s;
    inspectable_redis store(options);
    REQUIRE(works(store));
    network.delay(3ms);
    network.throttle(20 * large.size());
    // Twice as many seconds as an operation has.
    constexpr std::size_t records = 40;
    std::vector<pending_answer<complete_result>> stored;
    for (std::size_t number = 0; number < records; ++number) {
        stored.push_back(begin_complete(store.async(), complete_of(claim_of(numbered_key(number)), large)));
    }
    error_code error;
    CHECK(std::holds_alternative<granted>(store.claim(claim_of(numbered_key(1000)), error)));
    for (auto& each : stored) CHECK(std::holds_alternative<done>(each.get().second));

    std::vector<pending_answer<claim_result>> replays;
    for (std::size_t number = 0; number < records; ++number) {
        replays.push_back(begin_claim(store.async(), claim_of(numbered_key(number))));
    }
    CHECK(std::holds_alternative<granted>(store.claim(claim_of(numbered_key(1001)), error)));
    for (auto& each : replays) CHECK(std::holds_alternative<completed>(each.get().second));
}

TEST_CASE("redis: what large records took in memory is given back when they have been sent or read") {
    redis_server server;
    auto options = patient_redis(server.port());
    options.operation_timeout = 20s;
    inspectable_redis store(options);
    REQUIRE(works(store));
    auto const before = bytes_in_use();
    {
        server.send_signal(SIGSTOP);
        std::vector<pending_answer<complete_result>> records;
        for (std::size_t number = 10; number < 50; ++number) {
            records.push_back(begin_complete(store.async(), complete_of(claim_of(numbered_key(number)), large)));
        }
        server.send_signal(SIGCONT);
        for (auto& each : records) CHECK(std::holds_alternative<done>(each.get().second));
    }
    {
        std::vector<pending_answer<claim_result>> replays;
        for (std::size_t number = 10; number < 50; ++number) {
            replays.push_back(begin_claim(store.async(), claim_of(numbered_key(number))));
        }
        for (auto& each : replays) CHECK(std::holds_alternative<completed>(each.get().second));
    }
    CHECK(works(store));
    // Of the 80 MB that have come and gone, a few buffers of half a MiB may stay.
    CHECK(bytes_in_use() < before + 4 * large.size());
}
