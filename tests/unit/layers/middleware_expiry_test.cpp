// SPDX-License-Identifier: MIT

// Used keys whose records have expired (`options::remember_expired`), in every style over every kind of store.

#include "support/catch.hpp"
#include "support/charges.hpp"

#include <idempo/layers/idempotency.hpp>
#include <idempo/stores/any_store.hpp>
#include <idempo/stores/blocking.hpp>
#include <idempo/stores/offload.hpp>
#include <idempo/stores/sealed.hpp>

#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <string>

namespace {

using namespace idempo::tests;
using namespace std::chrono_literals;

idempo::options remembering() {
    idempo::options options;
    options.retention = 1h;
    options.remember_expired = 30h;
    return options;
}

void check_expired(text_response const& answer) {
    CHECK(answer.result_int() == 410);
    CHECK(answer.body().find("urn:idempo:problem:key-expired") != std::string::npos);
    CHECK(answer.body().find("\"detail\":\"The key was used before") != std::string::npos);
    CHECK(answer["x-should-retry"] == "false");
    CHECK(answer.count("Retry-After") == 0);
}

/// The three operations, and no more.
class forgetful_store {
public:
    static constexpr bool never_blocks = true;

    idempo::claim_result claim(idempo::claim_request const& request, idempo::error_code& ec) {
        return inner_.claim(request, ec);
    }
    idempo::complete_result complete(idempo::complete_request const& request, idempo::error_code& ec) {
        return inner_.complete(request, ec);
    }
    void abandon(idempo::store_key const& key, idempo::fencing_token const& by, idempo::error_code& ec) {
        inner_.abandon(key, by, ec);
    }
    bool renew(idempo::store_key const& key, idempo::fencing_token const& by, std::chrono::milliseconds lease,
               idempo::error_code& ec) {
        return inner_.renew(key, by, lease, ec);
    }

private:
    idempo::memory_store inner_;
};

constexpr auto message = "options.remember_expired needs a store that remembers used keys, and this one does not";

}  // namespace

TEST_CASE("expiry: a used key gets 410 as long as it is remembered, and then is new", "[expiry]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    effect_ledger ledger;
    service tested(how, remembering(), charging(ledger));

    tested.send(keyed_request());
    tested.store_clock().advance(1h - 1ms);
    CHECK(tested.send(keyed_request()).body() == "charge 1");
    tested.store_clock().advance(1ms);
    check_expired(tested.send(keyed_request()));
    check_expired(tested.send(keyed_request("key-1", "another body")));
    tested.store_clock().advance(30h - 1ms);
    check_expired(tested.send(keyed_request()));
    CHECK(tested.told(idempo::event_type::key_expired) == 3);
    tested.store_clock().advance(1ms);
    CHECK(tested.send(keyed_request()).body() == "charge 2");
    CHECK(ledger.size() == 2);
}

TEST_CASE("expiry: what leaves a mark, and what does not", "[expiry]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    auto options = remembering();
    unsigned status = 201;
    int runs = 0;
    SECTION("a released key runs again") {
        service tested(how, options, [&](auto&, auto&) { return ++runs, answer_with(status); });
        status = 503;
        CHECK(tested.send(keyed_request()).result_int() == 503);
        tested.store_clock().advance(2h);
        CHECK(tested.send(keyed_request()).result_int() == 503);
        CHECK(runs == 2);
    }
    SECTION("an exception releases, too") {
        service tested(how, options, [&](auto&, auto&) -> text_response {
            if (++runs == 1) throw std::runtime_error("no answer");
            return answer_with(201);
        });
        CHECK(tested.send(keyed_request()).result_int() == 500);
        tested.store_clock().advance(2h);
        CHECK(tested.send(keyed_request()).result_int() == 201);
    }
    SECTION("a tombstone does") {
        options.max_response_body = 1;
        service tested(how, options, [&](auto&, auto&) { return ++runs, answer_with(201, "too large"); });
        CHECK(tested.send(keyed_request()).result_int() == 201);
        CHECK(tested.send(keyed_request()).result_int() == 409);
        tested.store_clock().advance(1h);
        check_expired(tested.send(keyed_request()));
        CHECK(runs == 1);
    }
    SECTION("a key that was used in guard mode does") {
        options.on_duplicate = idempo::on_duplicate::reject;
        service tested(how, options, [&](auto&, auto&) { return ++runs, answer_with(201); });
        CHECK(tested.send(keyed_request()).result_int() == 201);
        tested.store_clock().advance(1h);
        check_expired(tested.send(keyed_request()));
        CHECK(runs == 1);
    }
    SECTION("an execution that is held to the end of its lease does") {
        options.on_throw = idempo::on_throw::hold;
        service tested(how, options, [&](auto&, auto&) -> text_response {
            ++runs;
            throw std::runtime_error("no answer");
        });
        CHECK(tested.send(keyed_request()).result_int() == 500);
        tested.store_clock().advance(2h);
        check_expired(tested.send(keyed_request()));
        CHECK(runs == 1);
    }
    SECTION("one that says that it does not know does") {
        service tested(how, options, [&](auto&, idempo::execution& execution) {
            ++runs;
            execution.unknown("no answer");
            return answer_with(202);
        });
        CHECK(tested.send(keyed_request()).result_int() == 202);
        CHECK(tested.send(keyed_request()).result_int() == 409);
        tested.store_clock().advance(1h);
        check_expired(tested.send(keyed_request()));
        CHECK(runs == 1);
    }
    SECTION("a retention of the handler's own counts from its end") {
        service tested(how, options, [&](auto&, idempo::execution& execution) {
            ++runs;
            execution.retain_for(5h);
            return answer_with(201);
        });
        CHECK(tested.send(keyed_request()).result_int() == 201);
        tested.store_clock().advance(5h);
        check_expired(tested.send(keyed_request()));
        tested.store_clock().advance(30h);
        CHECK(tested.send(keyed_request()).result_int() == 201);
        CHECK(runs == 2);
    }
}

TEST_CASE("expiry: whatever happens to one call of the store, an effect is not repeated when its record expires",
          "[expiry]") {
    auto const how = GENERATE(from_range(every_leased_setup()));
    auto const what = GENERATE(fault::fails_before, fault::loses_reply, fault::comes_late, fault::sent_twice);
    INFO(how << ", fault " << static_cast<int>(what));
    auto options = remembering();
    options.persist_timeout = 30s;
    std::size_t refused = 0;
    for (std::size_t nth = 0; nth < 6; ++nth) {
        INFO("call " << nth);
        effect_ledger ledger;
        service tested(how, options, charging(ledger));
        tested.store_faults().use(nth_call(nth, what));
        auto answer = tested.send(keyed_request());
        for (int retry = 0; retry < 3 && answer.result_int() != 201; ++retry) {
            tested.store_clock().advance(30s);
            answer = tested.send(keyed_request());
        }
        CHECK(answer.body() == "charge 1");
        tested.store_clock().advance(2h);
        for (int request = 0; request < 4; ++request) {
            auto const late = tested.send(keyed_request());
            CHECK((late.result_int() == 410 || late.result_int() == 503));
            refused += late.result_int() == 503 ? 1 : 0;
        }
        check_expired(tested.send(keyed_request()));
        CHECK(ledger.size() == 1);
    }
    if (what != fault::sent_twice) CHECK(refused > 0);
}

TEST_CASE("expiry: a response that the store does not learn of leaves a mark of its claim", "[expiry]") {
    auto const how = GENERATE(from_range(every_leased_setup()));
    INFO(how);
    auto options = remembering();
    options.persist_timeout = 0ms;
    effect_ledger ledger;
    service tested(how, options, charging(ledger));
    tested.store_faults().use(every(store_call::complete, fault::fails_before));
    CHECK(tested.send(keyed_request()).body() == "charge 1");
    tested.store_faults().heal();
    tested.store_clock().advance(2h);
    check_expired(tested.send(keyed_request()));
    CHECK(ledger.size() == 1);
}

TEST_CASE("expiry: a store that cannot remember is refused when the middleware is made", "[expiry]") {
    idempo::asio::thread_pool pool(1);
    auto const handler = [](text_request const&) { return answer_with(201); };
    forgetful_store const forgetful;
    CHECK_THROWS_WITH(idempo::idempotency(forgetful, remembering()), message);
    CHECK_THROWS_WITH(idempo::middleware(handler, forgetful, remembering()), message);
    CHECK_THROWS_WITH(idempo::idempotency(idempo::any_store(forgetful, pool.get_executor()), remembering()), message);
    CHECK_THROWS_WITH(idempo::idempotency(idempo::offload(forgetful, pool.get_executor()), remembering()), message);
    idempo::any_store const erased(idempo::memory_store(), pool.get_executor());
    CHECK_NOTHROW(idempo::idempotency(erased, remembering()));
    CHECK_NOTHROW(idempo::idempotency(idempo::blocking(erased), remembering()));
    CHECK_NOTHROW(idempo::idempotency(idempo::offload(idempo::memory_store(), pool.get_executor()), remembering()));
    CHECK_NOTHROW(idempo::idempotency(forgetful));
}

TEST_CASE("expiry: a sealed store remembers where its inner one does", "[expiry]") {
    idempo::seal_options seal;
    seal.keys = {{1, std::string(32, 's')}};
    manual_clock clock;
    int runs = 0;
    auto const charge =
        idempo::idempotency(idempo::sealed(idempo::memory_store({.clock = clock}), seal), remembering()) |
        [&](text_request const&) { return ++runs, answer_with(201); };
    CHECK(charge(keyed_request()).result_int() == 201);
    clock.advance(1h);
    check_expired(charge(keyed_request()));
    CHECK(runs == 1);
    CHECK_THROWS_WITH(idempo::idempotency(idempo::sealed(forgetful_store(), seal), remembering()), message);
}
