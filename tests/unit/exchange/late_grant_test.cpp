// SPDX-License-Identifier: MIT

// A grant that comes when its lease may have ended: somebody else may run by then.

#include <idempo/exchange/exchange.hpp>

#include "support/catch.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <utility>

namespace {

using namespace std::chrono_literals;
using idempo::detail::exchange;
using step = exchange::step;
using lifetime = exchange::claim_lifetime;

thread_local exchange::time_point test_now{};
exchange::time_point now() { return test_now; }

constexpr idempo::error failure = idempo::error::store_timed_out;

idempo::options with_lease(std::chrono::milliseconds lease) {
    idempo::options options;
    options.lease = lease;
    return options;
}

/// One exchange under test, at its first claim.
class session {
public:
    explicit session(idempo::options options, lifetime claim = lifetime::leased,
                     idempo::detail::request_identity const& identity = {}, bool renewable = false)
        : options_(std::move(options)),
          exchange_(options_, claim, &now, renewable) {
        test_now = {};
        REQUIRE(exchange_.admit({1, "k-1", 10}) == step::identify);
        exchange_.identified(identity);
    }

    exchange* operator->() { return &exchange_; }

    step granted_after(std::chrono::milliseconds delay, unsigned attempt = 1) {
        test_now += delay;
        return exchange_.claimed({}, idempo::granted{attempt});
    }

    void check_refused(step reached, idempo::refusal what) {
        CHECK(reached == step::respond);
        CHECK(exchange_.answer() == exchange::answer_source::refusal);
        CHECK(exchange_.refusal().what == what);
    }

private:
    idempo::options options_;
    exchange exchange_;
};

}  // namespace

TEST_CASE("late grant: runs as long as its lease cannot have ended", "[exchange]") {
    session tested(with_lease(10s));
    CHECK(tested.granted_after(9999ms) == step::run);
}

TEST_CASE("late grant: is given up and claimed anew when its lease may have ended", "[exchange]") {
    session tested(with_lease(10s));
    auto const late = tested->claim().fencing_token;
    REQUIRE(tested.granted_after(10s) == step::abandon);
    CHECK(tested->claim().fencing_token == late);
    CHECK_FALSE(tested->owes_lease());
    REQUIRE(tested->abandoned({}) == step::claim);
    CHECK(tested->claim().fencing_token != late);
    CHECK(tested->claimed_at() == test_now);

    SECTION("a grant in time runs") { CHECK(tested.granted_after(9s) == step::run); }
    SECTION("somebody has taken over meanwhile") {
        tested.check_refused(tested->claimed({}, idempo::in_flight{3s}), idempo::refusal::in_flight);
    }
}

TEST_CASE("late grant: a store that is always slower than the lease protects nobody", "[exchange]") {
    auto options = with_lease(1s);
    bool const unprotected = GENERATE(false, true);
    if (unprotected) options.on_store_error = idempo::on_store_error::run_unprotected;
    session tested(options);
    for (int late = 1; late < 3; ++late) {
        REQUIRE(tested.granted_after(1s) == step::abandon);
        REQUIRE(tested->abandoned({}) == step::claim);
    }
    REQUIRE(tested.granted_after(1s) == step::abandon);
    if (unprotected) {
        CHECK(tested->abandoned({}) == step::run);
        CHECK(tested->execution().attempt() == 0);
    } else {
        tested.check_refused(tested->abandoned({}), idempo::refusal::store_unavailable);
        CHECK(tested->refusal().retry_after);
    }
}

TEST_CASE("late grant: one that cannot be given up is left to its lease", "[exchange]") {
    session tested(with_lease(1s));
    REQUIRE(tested.granted_after(2s) == step::abandon);
    tested.check_refused(tested->abandoned(failure), idempo::refusal::store_unavailable);
}

TEST_CASE("late grant: an unknown outcome is asked about under the claim that follows", "[exchange]") {
    auto options = with_lease(1s);
    options.on_takeover = idempo::on_takeover::reconcile;
    options.reconcile = [](auto const&) { return idempo::hold_claim{}; };
    options.on_store_error = idempo::on_store_error::run_unprotected;
    session tested(options);
    REQUIRE(tested->claimed({}, idempo::expired{1}) == step::claim);
    REQUIRE(tested.granted_after(1s, 2) == step::abandon);

    SECTION("which asks for it again") {
        REQUIRE(tested->abandoned({}) == step::claim);
        CHECK_FALSE(tested->claim().take_over);
        CHECK(tested->claimed({}, idempo::expired{2}) == step::claim);
        CHECK(tested->claim().take_over);
        CHECK(tested.granted_after(0ms, 3) == step::reconcile);
    }
    SECTION("and never run without protection") {
        tested.check_refused(tested->abandoned(failure), idempo::refusal::store_unavailable);
    }
}

TEST_CASE("late grant: looking for other identities takes time, too", "[exchange]") {
    idempo::detail::request_identity identity;
    identity.key.bytes.fill(1);
    identity.others.resize(1);
    identity.others[0].key.bytes.fill(2);
    auto options = with_lease(1s);
    options.on_takeover = idempo::on_takeover::reconcile;
    options.reconcile = [](auto const&) { return idempo::hold_claim{}; };
    options.on_store_error = idempo::on_store_error::run_unprotected;
    session tested(options, lifetime::leased, identity);
    REQUIRE(tested->looked({}, {}) == step::claim);

    SECTION("the grant was in time, and the look was not") {
        REQUIRE(tested.granted_after(500ms) == step::look);
        test_now += 500ms;
        REQUIRE(tested->looked({}, {}) == step::abandon);
        REQUIRE(tested->abandoned({}) == step::claim);
        REQUIRE(tested.granted_after(0ms) == step::look);
        CHECK(tested->looked({}, {}) == step::run);
    }
    SECTION("an unknown outcome is not run without protection where the look fails") {
        REQUIRE(tested->claimed({}, idempo::expired{1}) == step::claim);
        REQUIRE(tested.granted_after(0ms, 2) == step::look);
        REQUIRE(tested->looked(failure, {}) == step::abandon);
        tested.check_refused(tested->abandoned({}), idempo::refusal::store_unavailable);
    }
}

TEST_CASE("late grant: a claim that ends with the call or the transaction has no lease", "[exchange]") {
    auto const claim = GENERATE(lifetime::call, lifetime::transaction);
    session tested(with_lease(1s), claim);
    CHECK(tested.granted_after(1h) == step::run);
}

TEST_CASE("late grant: what reconcile lets run is claimed again where the lease may have ended meanwhile",
          "[exchange]") {
    auto options = with_lease(10s);
    options.on_takeover = idempo::on_takeover::reconcile;
    options.reconcile = [](auto const&) { return idempo::run_again{}; };
    options.wait = GENERATE(0s, 5s);
    options.on_store_error = idempo::on_store_error::run_unprotected;
    session tested(options);
    REQUIRE(tested->claimed({}, idempo::expired{1}) == step::claim);
    REQUIRE(tested.granted_after(0ms, 2) == step::reconcile);
    auto const claimed = tested->claim().fencing_token;

    SECTION("not before") {
        test_now += 9999ms;
        CHECK(tested->reconciled(idempo::run_again{}) == step::run);
        return;
    }
    test_now += 10s;
    REQUIRE(tested->reconciled(idempo::run_again{}) == step::claim);
    CHECK(tested->claim().fencing_token == claimed);
    CHECK_FALSE(tested->handed_over());

    SECTION("nobody had the record: it runs") {
        CHECK(tested.granted_after(9999ms, 2) == step::run);
        CHECK(tested->execution().attempt() == 2);
    }
    SECTION("that grant is late, too") { CHECK(tested.granted_after(10s, 2) == step::abandon); }
    SECTION("somebody has taken over") {
        auto const next = tested->claimed({}, idempo::in_flight{3s});
        if (options.wait > 0s) {
            CHECK(next == step::pause);
        } else {
            tested.check_refused(next, idempo::refusal::in_flight);
        }
    }
    SECTION("somebody has the answer") {
        REQUIRE(tested->claimed({}, idempo::completed{idempo::make_tombstone(201)}) == step::respond);
        tested.check_refused(step::respond, idempo::refusal::not_retained);
    }
    SECTION("somebody had the record, and left it or lost it: the finding is out of date") {
        REQUIRE(tested.granted_after(0ms, GENERATE(1U, 3U)) == step::abandon);
        auto const next = tested->abandoned({});
        if (options.wait > 0s) {
            CHECK(next == step::pause);
        } else {
            tested.check_refused(next, idempo::refusal::outcome_unknown);
        }
    }
    SECTION("the store does not answer: it does not run, protected or not") {
        REQUIRE(tested->claimed(failure, {}) == step::abandon);
        auto const next = tested->abandoned(GENERATE(idempo::error_code(), idempo::error_code(failure)));
        CHECK_FALSE(tested->handed_over());
        CHECK((next == step::pause || next == step::respond));
    }
}

TEST_CASE("late grant: what reconcile lets run is claimed again where the heartbeat has lost the lease", "[exchange]") {
    auto options = with_lease(10s);
    options.on_takeover = idempo::on_takeover::reconcile;
    options.reconcile = [](auto const&) { return idempo::run_again{}; };
    session tested(options, lifetime::leased, {}, true);
    REQUIRE(tested->claimed({}, idempo::expired{1}) == step::claim);
    REQUIRE(tested.granted_after(0ms, 2) == step::heartbeat);
    auto const lost = std::make_shared<std::atomic<bool>>(false);
    REQUIRE(tested->beating(lost) == step::reconcile);
    *lost = true;
    CHECK(tested->reconciled(idempo::run_again{}) == step::claim);
}
