// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/fault_proxy.hpp"
#include "support/inspectable_redis.hpp"
#include "support/pending_answer.hpp"
#include "support/redis_scene.hpp"
#include "support/redis_server.hpp"

#include <idempo/redis/store.hpp>
#include <idempo/store.hpp>

#include <cstddef>
#include <string>
#include <variant>

using namespace idempo::tests;
using namespace idempo;

// Replies that come late, in pieces, cut off, or that are not the ones asked for: none reaches another request.

namespace {

/// Several operations at once, each of another key, whose right answers all differ.
class exchange_of_many {
public:
    explicit exchange_of_many(inspectable_redis& direct) {
        error_code error;
        for (auto* each : {&first_, &second_}) {
            direct.claim(*each, error);
            direct.complete(complete_of(*each, to_hex(each->fencing_token.view())), error);
        }
        direct.claim(rivals_, error);
        direct.claim(strangers_, error);
        direct.claim(held_, error);
        direct.claim(completed_, error);
    }

    /// Starts them all. Returns whether all were answered; what was answered was right, or the test has failed.
    bool run(redis_store& store) {
        auto replay = begin_claim(store, again(first_));
        auto in_flight_ = begin_claim(store, again(rivals_));
        auto other_replay = begin_claim(store, again(second_));
        auto stranger = again(strangers_);
        stranger.fingerprint.bytes[0] = 9;
        auto refused = begin_claim(store, stranger);
        auto renewed = begin_renew(store, held_);
        auto stored = begin_complete(store, complete_of(completed_, "stored"));
        auto fresh = begin_claim(store, fresh_);
        return answers<completed>(replay, to_hex(first_.fencing_token.view())) & answers<in_flight>(in_flight_) &
               answers<completed>(other_replay, to_hex(second_.fencing_token.view())) & answers<mismatch>(refused) &
               is_held(renewed) & answers<done>(stored) & answers<granted>(fresh);
    }

    /// What a claim said that it was granted is there.
    void check(inspectable_redis& direct) {
        if (!was_granted_) return;
        error_code error;
        CHECK(direct.renew(fresh_.key, fresh_.fencing_token, 30s, error));
    }

private:
    static claim_request new_claim() {
        store_key key;
        auto const bytes = make_fencing_token();
        std::copy(bytes.bytes.begin(), bytes.bytes.end(), key.bytes.begin());
        return claim_of(key);
    }

    static claim_request again(claim_request claim) {
        claim.fencing_token = make_fencing_token();
        return claim;
    }

    template <class Expected, class Answer>
    bool answers(pending_answer<Answer>& pending, std::string const& bytes = {}) {
        auto const [error, answer] = pending.get();
        if (error) {
            CHECK((error == error::store_unavailable || error == error::store_timed_out));
            return false;
        }
        CHECK(std::holds_alternative<Expected>(answer));
        if constexpr (std::is_same_v<Expected, completed>) {
            auto const* const found = std::get_if<completed>(&answer);
            CHECK((found != nullptr && found->record.view() == bytes));
        }
        if constexpr (std::is_same_v<Expected, granted>) was_granted_ = true;
        return true;
    }

    static bool is_held(pending_answer<bool>& pending) {
        auto const [error, held] = pending.get();
        if (!error) CHECK(held);
        return !error;
    }

    claim_request first_ = new_claim();
    claim_request second_ = new_claim();
    claim_request rivals_ = new_claim();
    claim_request strangers_ = new_claim();
    claim_request held_ = new_claim();
    claim_request completed_ = new_claim();
    claim_request fresh_ = new_claim();
    bool was_granted_ = false;
};

}  // namespace

TEST_CASE("redis: replies cut at every byte reach no other request") {
    redis_server server;
    inspectable_redis direct(local_redis(server.port()));
    fault_proxy proxy(server.port());
    std::size_t cut = 0;
    std::size_t cut_off = 0;
    for (bool all_answered = false; !all_answered; ++cut) {
        exchange_of_many exchange(direct);
        inspectable_redis store(local_redis(proxy.port()));
        REQUIRE(works(store));
        proxy.cut_after(cut);
        all_answered = exchange.run(store.async());
        cut_off += !all_answered;
        proxy.cut_after(std::size_t{1} << 40);
        exchange.check(direct);
        REQUIRE(cut < 2000);
    }
    CHECK(cut_off > 300);
}

TEST_CASE("redis: replies that come byte by byte reach no other request") {
    redis_server server;
    inspectable_redis direct(local_redis(server.port()));
    fault_proxy proxy(server.port());
    proxy.trickle();
    inspectable_redis store(local_redis(proxy.port()));
    for (int round = 0; round < 20; ++round) {
        exchange_of_many exchange(direct);
        CHECK(exchange.run(store.async()));
    }
    CHECK(proxy.connections() == 1);
}

TEST_CASE("redis: a reply that comes after the deadline is dropped, and the connection goes on") {
    redis_server server;
    inspectable_redis direct(local_redis(server.port()));
    fault_proxy proxy(server.port());
    inspectable_redis store(local_redis(proxy.port()));
    REQUIRE(works(store));
    for (int round = 0; round < 3; ++round) {
        exchange_of_many late(direct);
        exchange_of_many next(direct);
        proxy.hold();
        CHECK_FALSE(late.run(store.async()));
        proxy.release();
        CHECK(next.run(store.async()));
    }
    CHECK(proxy.connections() == 1);
}

TEST_CASE("redis: a silent connection is given up, and what it says later reaches nobody") {
    redis_server server;
    inspectable_redis direct(local_redis(server.port()));
    fault_proxy proxy(server.port());
    inspectable_redis store(local_redis(proxy.port()));
    REQUIRE(works(store));
    exchange_of_many late(direct);
    proxy.hold();
    CHECK_FALSE(late.run(store.async()));
    poll_until([&] { return proxy.connections() > 1; });
    proxy.release();
    exchange_of_many next(direct);
    poll_until([&] { return works(store); });
    CHECK(next.run(store.async()));
}

TEST_CASE("redis: an answer with another fencing token condemns the connection") {
    redis_server server;
    inspectable_redis direct(local_redis(server.port()));
    fault_proxy proxy(server.port());
    inspectable_redis store(local_redis(proxy.port()));
    auto const claim = claim_of(numbered_key(1));
    error_code error;
    direct.claim(claim, error);
    REQUIRE(works(store));
    proxy.rewrite([](std::string& reply) {
        constexpr std::string_view before_token = "\r\n$16\r\n";
        auto const found = reply.find(before_token);
        if (found != std::string::npos) reply[found + before_token.size()] ^= 1;
    });
    effect_ledger ledger;
    CHECK(execute(store, claim.key, ledger).first == error::store_unavailable);
    static_cast<void>(store.complete(complete_of(claim, "x"), error));
    CHECK(error == error::store_unavailable);
    CHECK_FALSE(store.renew(claim.key, claim.fencing_token, 30s, error));
    CHECK(error == error::store_unavailable);
    proxy.rewrite({});
    poll_until([&] { return works(store); });
    CHECK(proxy.connections() > 1);
    CHECK(ledger.size() == 0);
}

TEST_CASE("redis: an answer to nothing condemns the connection") {
    redis_server server;
    fault_proxy proxy(server.port());
    inspectable_redis store(local_redis(proxy.port()));
    REQUIRE(works(store));
    proxy.rewrite([](std::string& reply) { reply += "$-1\r\n"; });
    CHECK_FALSE(works(store));  // its Claim is granted, and the next nil was for nobody
    proxy.rewrite({});
    poll_until([&] { return works(store); });
    CHECK(proxy.connections() > 1);
}

TEST_CASE("redis: every error reply fails closed") {
    redis_server server;
    inspectable_redis direct(local_redis(server.port()));
    auto const text = GENERATE(as<std::string>{}, "READONLY You can't write against a read only replica.",
                               "LOADING Redis is loading the dataset in memory", "MASTERDOWN Link with MASTER is down",
                               "NOREPLICAS Not enough good replicas to write.", "BUSY Redis is busy running a script.",
                               "NOAUTH Authentication required.", "NOPERM this user has no permissions",
                               "MISCONF Redis is configured to save RDB snapshots", "MOVED 1 127.0.0.1:1",
                               "CLUSTERDOWN Hash slot not served", "TRYAGAIN", "ERR max number of clients reached",
                               "NOSCRIPT No matching script. Please use EVAL.", "ERR", "");
    CAPTURE(text);
    fault_proxy proxy(server.port());
    inspectable_redis store(local_redis(proxy.port()));
    auto const claim = claim_of(numbered_key(1));
    error_code error;
    direct.claim(claim, error);
    REQUIRE(works(store));
    effect_ledger ledger;
    auto const with_error = [&](auto operation) {
        proxy.rewrite([&](std::string& reply) { reply = '-' + text + "\r\n"; });
        operation();
        CHECK(error);
        proxy.rewrite({});
        poll_until([&] { return works(store); });
    };
    with_error([&] { error = execute(store, numbered_key(2), ledger).first; });
    with_error([&] { static_cast<void>(store.complete(complete_of(claim, "x"), error)); });
    with_error([&] { CHECK_FALSE(store.renew(claim.key, claim.fencing_token, 30s, error)); });
    with_error([&] { store.abandon(claim.key, claim.fencing_token, error); });
    with_error([&] { CHECK_FALSE(store.peek(claim.key, error)); });
    with_error([&] { CHECK_FALSE(store.forget(claim.key, error)); });
    CHECK(ledger.size() == 0);
}
