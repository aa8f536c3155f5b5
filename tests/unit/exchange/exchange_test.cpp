// SPDX-License-Identifier: MIT

// The whole of the decisions, step by step, with no server, no store and no time but the test's own.

#include <idempo/detail/step_log.hpp>
#include <idempo/exchange/exchange.hpp>
#include <idempo/step.hpp>

#include "support/catch.hpp"

#include <atomic>
#include <cstddef>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace std::chrono_literals;
using idempo::detail::exchange;
using idempo::detail::request_facts;
using step = exchange::step;
using answer = exchange::answer_source;

thread_local exchange::time_point test_now{};
exchange::time_point now() { return test_now; }

/// One exchange under test, with what its observer was told.
class session {
public:
    explicit session(idempo::options options = {}, exchange::claim_lifetime lifetime = exchange::claim_lifetime::leased,
                     bool renewable = false)
        : options_(observed(std::move(options))),
          exchange_(options_, lifetime, &now, renewable) {
        test_now = {};
    }

    exchange* operator->() { return &exchange_; }

    /// To the first claim.
    step start() {
        REQUIRE(exchange_.admit({1, "k-1", 10}) == step::identify);
        return exchange_.identified(idempo::detail::request_identity{});
    }

    /// To the running handler.
    void run(unsigned attempt = 1) {
        REQUIRE(start() == step::claim);
        REQUIRE(exchange_.claimed({}, idempo::granted{attempt}) == step::run);
    }

    /// To the first complete.
    void capture(unsigned status = 201) {
        run();
        REQUIRE(exchange_.ran(status) == step::capture);
        REQUIRE(exchange_.captured(record(status)) == step::complete);
    }

    static idempo::shared_bytes record(unsigned status, std::string body = "body") {
        idempo::http::response<idempo::http::string_body> response;
        response.result(status);
        response.body() = std::move(body);
        return idempo::make_record(response, {}).value();
    }

    [[nodiscard]] int told(idempo::event_type type) const {
        int count = 0;
        for (auto const& event : events_) count += event.type == type ? 1 : 0;
        return count;
    }

    [[nodiscard]] std::vector<idempo::event> const& events() const { return events_; }

private:
    idempo::options observed(idempo::options options) {
        options.observer = [this](idempo::event const& event) {
            events_.push_back(event);
            throw std::runtime_error("what an observer throws is swallowed");
        };
        return options;
    }

    std::vector<idempo::event> events_;
    idempo::options options_;
    exchange exchange_;
};

void check_refused(session& tested, step reached, idempo::refusal what) {
    CHECK(reached == step::respond);
    CHECK(tested->answer() == answer::refusal);
    CHECK(tested->refusal().what == what);
}

constexpr idempo::error failure = idempo::error::store_timed_out;

}  // namespace

TEST_CASE("exchange: admission", "[exchange]") {
    idempo::options options;
    options.max_request_body = 10;
    session tested(options);

    SECTION("no key where one is required") { check_refused(tested, tested->admit({}), idempo::refusal::key_missing); }
    SECTION("two field lines") { check_refused(tested, tested->admit({2, "a", 0}), idempo::refusal::key_malformed); }
    SECTION("not a key") { check_refused(tested, tested->admit({1, "\"a", 0}), idempo::refusal::key_malformed); }
    SECTION("a body at the limit") { CHECK(tested->admit({1, "a", 10}) == step::identify); }
    SECTION("a body over the limit") {
        check_refused(tested, tested->admit({1, "a", 11}), idempo::refusal::body_too_large);
    }
    SECTION("a caller whom nobody knows") {
        CHECK(tested->admit({1, "a", 0}) == step::identify);
        check_refused(tested, tested->unidentified(), idempo::refusal::caller_unknown);
    }
    SECTION("the key is unquoted") {
        CHECK(tested->admit({1, R"("a\"b")", 0}) == step::identify);
        CHECK(tested->key() == "a\"b");
    }
}

TEST_CASE("exchange: what a claim asks for", "[exchange]") {
    idempo::options options;
    options.lease = 7s;
    options.retention = 9s;

    SECTION("leased") {
        session tested(options);
        CHECK(tested.start() == step::claim);
        CHECK(tested->claim().lease == 7s);
        CHECK(tested->claim().retention == 9s);
        CHECK(tested->claim().take_over);
        CHECK(tested->claim().fencing_token != idempo::fencing_token{});
        CHECK(tested->claim().remember == 0s);
    }
    SECTION("with a mark of the used key") {
        options.remember_expired = 90s;
        session tested(options);
        CHECK(tested.start() == step::claim);
        CHECK(tested->claim().remember == 90s);
        CHECK(tested->complete().remember == 90s);
    }
    SECTION("for the duration of a call") {
        session tested(options, exchange::claim_lifetime::call);
        CHECK(tested.start() == step::claim);
        CHECK(tested->claim().lease == idempo::no_lease);
    }
    SECTION("without taking over") {
        options.on_takeover = GENERATE(idempo::on_takeover::hold, idempo::on_takeover::reconcile);
        options.reconcile = [](auto const&) { return idempo::hold_claim{}; };
        session tested(options);
        CHECK(tested.start() == step::claim);
        CHECK_FALSE(tested->claim().take_over);
    }
}

TEST_CASE("exchange: a first request runs and is stored before it is answered", "[exchange]") {
    session tested;
    tested.capture();
    CHECK(tested->complete().fencing_token == tested->claim().fencing_token);
    CHECK(tested->completed({}, idempo::done{}) == step::respond);
    CHECK(tested->answer() == answer::handler);
    CHECK(tested.told(idempo::event_type::executed) == 1);
}

TEST_CASE("exchange: a completed record is replayed", "[exchange]") {
    session tested;
    tested.start();
    CHECK(tested->claimed({}, idempo::completed{session::record(201, "first")}) == step::respond);
    CHECK(tested->answer() == answer::stored);
    CHECK(tested->stored().body() == "first");
    CHECK(tested.told(idempo::event_type::replayed) == 1);
}

TEST_CASE("exchange: a used key whose record has expired is gone, for good", "[exchange]") {
    session tested;
    tested.start();
    check_refused(tested, tested->claimed({}, idempo::remembered{}), idempo::refusal::key_expired);
    CHECK(tested.told(idempo::event_type::key_expired) == 1);
    CHECK_FALSE(tested->refusal().retry_after);
}

TEST_CASE("exchange: another fingerprint", "[exchange]") {
    session tested;
    tested.start();
    check_refused(tested, tested->claimed({}, idempo::mismatch{}), idempo::refusal::key_reused);
    CHECK(tested.told(idempo::event_type::mismatch) == 1);
}

TEST_CASE("exchange: in flight, Retry-After is never 0, and never ends before the lease could", "[exchange]") {
    idempo::options options;
    options.retry_after = 3s;
    session tested(options);
    tested.start();
    auto const [remaining, said] = GENERATE(table<std::chrono::milliseconds, std::chrono::seconds>(
        {{10s, 3s}, {2999ms, 3s}, {2s, 2s}, {1001ms, 2s}, {900ms, 1s}, {0ms, 1s}, {-5ms, 1s}, {idempo::no_lease, 3s}}));
    check_refused(tested, tested->claimed({}, idempo::in_flight{remaining}), idempo::refusal::in_flight);
    CHECK(tested->refusal().retry_after == said);
    CHECK(tested.told(idempo::event_type::in_flight) == 1);
}

TEST_CASE("exchange: waiting polls with growing pauses, and no longer than it may", "[exchange]") {
    idempo::options options;
    options.wait = 1s;
    session tested(options);
    auto next = tested.start();

    SECTION("until the time is up") {
        std::chrono::milliseconds last{0};
        int pauses = 0;
        while ((next = tested->claimed({}, idempo::in_flight{30s})) == step::pause) {
            bool const final_pause = test_now + tested->pause() == exchange::time_point{} + 1s;
            CHECK((tested->pause() > last || tested->pause() == 500ms || final_pause));
            CHECK(tested->pause_is_cancellable());
            last = tested->pause();
            test_now += last;
            ++pauses;
            REQUIRE(tested->paused() == step::claim);
        }
        check_refused(tested, next, idempo::refusal::in_flight);
        CHECK(pauses > 5);
        CHECK(test_now == exchange::time_point{} + 1s);
    }
    SECTION("until the first request is done") {
        REQUIRE(tested->claimed({}, idempo::in_flight{30s}) == step::pause);
        REQUIRE(tested->paused() == step::claim);
        CHECK(tested->claimed({}, idempo::completed{session::record(200)}) == step::respond);
        CHECK(tested->answer() == answer::stored);
    }
    SECTION("until the waiting is cancelled") {
        REQUIRE(tested->claimed({}, idempo::in_flight{30s}) == step::pause);
        check_refused(tested, tested->pause_cancelled(), idempo::refusal::in_flight);
    }
}

TEST_CASE("exchange: the store fails at the claim", "[exchange]") {
    SECTION("refused; the claim may have been executed, so it is abandoned") {
        session tested;
        tested.start();
        CHECK(tested->claimed(failure, {}) == step::abandon);
        CHECK(tested->abandon_is_best_effort());
        check_refused(tested, tested->abandoned(failure), idempo::refusal::store_unavailable);
        CHECK(tested->refusal().retry_after == 1s);
        CHECK(tested.told(idempo::event_type::store_error) == 2);
        CHECK(tested.told(idempo::event_type::refused) == 1);
    }
    SECTION("a full store has written nothing") {
        session tested;
        tested.start();
        check_refused(tested, tested->claimed(idempo::error::store_full, {}), idempo::refusal::store_unavailable);
    }
    SECTION("unprotected, by choice") {
        idempo::options options;
        options.on_store_error = idempo::on_store_error::run_unprotected;
        session tested(options);
        tested.start();
        CHECK(tested->claimed(failure, {}) == step::abandon);
        CHECK(tested->abandoned({}) == step::run);
        CHECK_FALSE(tested->execution().keyed());
        CHECK(tested->execution().attempt() == 0);
        CHECK(tested->ran(500) == step::respond);
        CHECK(tested->answer() == answer::handler);
        CHECK(tested.told(idempo::event_type::unprotected) == 1);
    }
}

TEST_CASE("exchange: which statuses are stored", "[exchange]") {
    session tested;
    tested.run();
    SECTION("by default") {
        auto const status = GENERATE(200U, 201U, 204U, 302U, 400U, 404U, 409U, 422U, 499U);
        CHECK(tested->ran(status) == step::capture);
    }
    SECTION("released by default") {
        auto const status = GENERATE(401U, 403U, 408U, 425U, 429U, 500U, 502U, 503U, 599U);
        CHECK(tested->ran(status) == step::abandon);
        CHECK_FALSE(tested->abandon_is_best_effort());
        CHECK(tested->abandoned({}) == step::respond);
        CHECK(tested->answer() == answer::handler);
        CHECK(tested.told(idempo::event_type::released) == 1);
    }
    SECTION("the handler knows better: keep") {
        tested->execution().keep();
        CHECK(tested->ran(500) == step::capture);
    }
    SECTION("the handler knows better: release") {
        tested->execution().release();
        CHECK(tested->ran(201) == step::abandon);
    }
}

TEST_CASE("exchange: store_if and Stripe's choice", "[exchange]") {
    auto options = GENERATE(0, 1) == 0 ? idempo::options::stripe() : idempo::options{};
    bool const stripe =
        options.methods.contains(idempo::http::verb::post) && !options.methods.contains(idempo::http::verb::put);
    if (!stripe) options.store_if = [](unsigned status) { return status == 503; };
    session tested(options);
    tested.run();
    CHECK(tested->ran(503) == step::capture);
}

TEST_CASE("exchange: a response that cannot be stored", "[exchange]") {
    idempo::options options;
    SECTION("leaves a tombstone, and is sent whole") {
        session tested(options);
        tested.run();
        tested->ran(201);
        CHECK(tested->captured({}) == step::complete);
        CHECK(tested->complete().record.size() <= idempo::small_record_bytes);
        CHECK(tested->completed({}, idempo::done{}) == step::respond);
        CHECK(tested->answer() == answer::handler);
        CHECK(tested.told(idempo::event_type::tombstone) == 1);
    }
    SECTION("is released, by choice") {
        options.unstorable = idempo::unstorable::release;
        session tested(options);
        tested.run();
        tested->ran(201);
        CHECK(tested->captured({}) == step::abandon);
    }
    SECTION("is never released where the handler says keep") {
        options.unstorable = idempo::unstorable::release;
        session tested(options);
        tested.run();
        tested->execution().keep();
        tested->ran(201);
        CHECK(tested->captured({}) == step::complete);
    }
}

TEST_CASE("exchange: meeting a tombstone", "[exchange]") {
    session tested;
    tested.start();
    check_refused(tested, tested->claimed({}, idempo::completed{idempo::make_tombstone(201)}),
                  idempo::refusal::not_retained);
    CHECK(tested->refusal().original_status == 201U);
}

TEST_CASE("exchange: an unreadable record never runs the handler again", "[exchange]") {
    session tested;
    tested.start();
    check_refused(tested, tested->claimed({}, idempo::completed{idempo::shared_bytes("garbage")}),
                  idempo::refusal::record_unreadable);
    CHECK(tested.told(idempo::event_type::record_unreadable) == 1);
}

TEST_CASE("exchange: Complete fails and is retried", "[exchange]") {
    idempo::options options;
    options.persist_timeout = 10s;
    SECTION("until it succeeds") {
        session tested(options);
        tested.capture();
        CHECK(tested->completed(failure, {}) == step::pause);
        CHECK_FALSE(tested->pause_is_cancellable());
        CHECK(tested->paused() == step::complete);
        CHECK(tested->completed({}, idempo::done{}) == step::respond);
        CHECK(tested->answer() == answer::handler);
    }
    SECTION("no longer than persist_timeout, and the claim is not released") {
        session tested(options);
        tested.capture();
        int tries = 1;
        auto next = tested->completed(failure, {});
        while (next == step::pause) {
            test_now += tested->pause();
            REQUIRE(tested->paused() == step::complete);
            next = tested->completed(failure, {});
            ++tries;
        }
        CHECK(next == step::respond);
        CHECK(tested->answer() == answer::handler);
        CHECK(tries > 20);
        CHECK(test_now == exchange::time_point{} + 10s);
        CHECK(tested.told(idempo::event_type::not_persisted) == 1);
        CHECK(tested.told(idempo::event_type::released) == 0);
    }
    SECTION("a claim without a lease gets one when the store is given up") {
        options.persist_timeout = 0ms;
        session tested(options, exchange::claim_lifetime::call);
        tested.capture();
        CHECK(tested->completed(failure, {}) == step::renew);
        CHECK(tested->renewed({}) == step::respond);
        CHECK(tested->answer() == answer::handler);
    }
    SECTION("no room for the response is room for a tombstone") {
        session tested(options);
        tested.capture();
        CHECK(tested->completed(idempo::error::store_full, {}) == step::complete);
        CHECK(tested->complete().record.size() <= idempo::small_record_bytes);
        CHECK(tested->completed({}, idempo::done{}) == step::respond);
        CHECK(tested.told(idempo::event_type::tombstone) == 1);
    }
}

TEST_CASE("exchange: fenced off, its own response is never the answer", "[exchange]") {
    session tested;
    tested.capture();
    SECTION("the other attempt is done: its response") {
        CHECK(tested->completed({}, idempo::completed{session::record(201, "other")}) == step::respond);
        CHECK(tested->answer() == answer::stored);
        CHECK(tested->stored().body() == "other");
    }
    SECTION("the other attempt runs: 409") {
        check_refused(tested, tested->completed({}, idempo::in_flight{10s}), idempo::refusal::in_flight);
        CHECK(tested->refusal().retry_after == 1s);
    }
    SECTION("the record is another request's by now: 422") {
        check_refused(tested, tested->completed({}, idempo::mismatch{}), idempo::refusal::key_reused);
    }
    CHECK(tested.told(idempo::event_type::fenced) == 1);
    CHECK(tested.told(idempo::event_type::executed) == 0);
}

TEST_CASE("exchange: the handler throws", "[exchange]") {
    auto const thrown = std::make_exception_ptr(std::runtime_error("boom"));
    idempo::options options;
    SECTION("release") {
        session tested(options);
        tested.run();
        CHECK(tested->threw(thrown) == step::abandon);
        CHECK(tested->abandoned({}) == step::respond);
        CHECK(tested->answer() == answer::exception);
        CHECK(tested->refusal().what == idempo::refusal::handler_threw);
        CHECK(tested.told(idempo::event_type::handler_threw) == 1);
        CHECK(tested.told(idempo::event_type::released) == 1);
    }
    SECTION("release that fails leaves the claim to its lease") {
        session tested(options);
        tested.run();
        CHECK(tested->threw(thrown) == step::abandon);
        CHECK(tested->abandoned(failure) == step::respond);
        CHECK(tested.told(idempo::event_type::released) == 0);
        CHECK(tested.told(idempo::event_type::held) == 1);
    }
    SECTION("hold") {
        options.on_throw = idempo::on_throw::hold;
        session tested(options);
        tested.run();
        CHECK(tested->threw(thrown) == step::respond);
        CHECK(tested->answer() == answer::exception);
        CHECK(tested.told(idempo::event_type::held) == 1);
    }
    SECTION("hold, with a claim that has no lease yet") {
        options.on_throw = idempo::on_throw::hold;
        session tested(options, exchange::claim_lifetime::call);
        tested.run();
        CHECK(tested->threw(thrown) == step::renew);
        CHECK(tested->renewed({}) == step::respond);
    }
    SECTION("store_500") {
        options.on_throw = idempo::on_throw::store_500;
        session tested(options);
        tested.run();
        CHECK(tested->threw(thrown) == step::complete);
        idempo::error_code error;
        auto const stored = idempo::stored_response::decode(tested->complete().record, error);
        CHECK_FALSE(error);
        CHECK(stored.status() == 500);
        CHECK(stored.field("Content-Type") == "application/problem+json");
        CHECK(tested->completed({}, idempo::done{}) == step::respond);
        CHECK(tested->answer() == answer::exception);
    }
    SECTION("keep overrules release") {
        session tested(options);
        tested.run();
        tested->execution().keep();
        CHECK(tested->threw(thrown) == step::complete);
    }
    SECTION("release overrules hold and store_500") {
        options.on_throw = GENERATE(idempo::on_throw::hold, idempo::on_throw::store_500);
        session tested(options);
        tested.run();
        tested->execution().release();
        CHECK(tested->threw(thrown) == step::abandon);
    }
}

TEST_CASE("exchange: a claim without a lease is owed one from the run until it is settled", "[exchange]") {
    SECTION("for the duration of a call") {
        session tested({}, exchange::claim_lifetime::call);
        tested.start();
        CHECK_FALSE(tested->owes_lease());
        tested->claimed({}, idempo::granted{1});
        CHECK(tested->owes_lease());
        tested->ran(201);
        CHECK(tested->owes_lease());
        tested->captured(session::record(201));
        tested->completed({}, idempo::done{});
        CHECK_FALSE(tested->owes_lease());
    }
    SECTION("leased") {
        session tested;
        tested.run();
        CHECK_FALSE(tested->owes_lease());
    }
}

TEST_CASE("exchange: what the database undid is refused, to be tried again", "[exchange]") {
    session tested({}, exchange::claim_lifetime::transaction);
    tested.run();
    tested->execution().keep();
    auto const exception = std::make_exception_ptr(std::runtime_error("deadlock"));
    REQUIRE(tested->undone(exception) == step::abandon);
    check_refused(tested, tested->abandoned({}), idempo::refusal::store_unavailable);
    CHECK(tested->refusal().retry_after == 1s);
    CHECK(tested.told(idempo::event_type::handler_threw) == 1);
    CHECK(tested.told(idempo::event_type::refused) == 1);
}

TEST_CASE("exchange: takeover", "[exchange]") {
    SECTION("the handler learns the attempt") {
        session tested;
        tested.run(3);
        CHECK(tested->execution().attempt() == 3);
        CHECK(tested.told(idempo::event_type::takeover) == 1);
    }
    SECTION("hold: the outcome is unknown") {
        idempo::options options;
        options.on_takeover = idempo::on_takeover::hold;
        session tested(options);
        tested.start();
        check_refused(tested, tested->claimed({}, idempo::expired{2}), idempo::refusal::outcome_unknown);
    }
}

TEST_CASE("exchange: reconciliation", "[exchange]") {
    idempo::options options;
    options.on_takeover = idempo::on_takeover::reconcile;
    options.reconcile = [](auto const&) { return idempo::hold_claim{}; };
    session tested(options);
    tested.start();
    REQUIRE(tested->claimed({}, idempo::expired{1}) == step::claim);
    CHECK(tested->claim().take_over);
    REQUIRE(tested->claimed({}, idempo::granted{2}) == step::reconcile);
    CHECK(tested->execution().attempt() == 1);
    CHECK_FALSE(tested->abandon_is_best_effort());

    SECTION("hold") {
        CHECK(tested->reconciled(idempo::hold_claim{}) == step::abandon);
        check_refused(tested, tested->abandoned({}), idempo::refusal::outcome_unknown);
        CHECK(tested->refusal().retry_after == 1s);
        CHECK(tested.told(idempo::event_type::reconciled) == 1);
        CHECK(tested.told(idempo::event_type::takeover) == 0);
    }
    SECTION("hold, and the store does not answer") {
        CHECK(tested->reconciled(idempo::hold_claim{}) == step::abandon);
        check_refused(tested, tested->abandoned(failure), idempo::refusal::outcome_unknown);
    }
    SECTION("throws: hold") {
        auto const thrown = std::make_exception_ptr(std::runtime_error("boom"));
        CHECK(tested->reconcile_threw(thrown) == step::abandon);
        check_refused(tested, tested->abandoned({}), idempo::refusal::outcome_unknown);
        CHECK(tested.told(idempo::event_type::handler_threw) == 1);
    }
    SECTION("run again") {
        CHECK(tested->reconciled(idempo::run_again{}) == step::run);
        CHECK(tested->execution().attempt() == 2);
        CHECK(tested.told(idempo::event_type::takeover) == 1);
    }
    SECTION("the response that is to be stored") {
        idempo::http::response<idempo::http::string_body> found;
        found.result(201);
        found.body() = "found";
        CHECK(tested->reconciled(found) == step::complete);
        CHECK(tested->completed({}, idempo::done{}) == step::respond);
        CHECK(tested->answer() == answer::stored);
        CHECK(tested->stored().body() == "found");
    }
    SECTION("the response is the answer even where it cannot be stored") {
        idempo::http::response<idempo::http::string_body> found;
        found.body() = "found";
        tested->reconciled(found);
        auto next = tested->completed(failure, {});
        while (next == step::pause) {
            test_now += tested->pause();
            tested->paused();
            next = tested->completed(failure, {});
        }
        CHECK(next == step::respond);
        CHECK(tested->answer() == answer::stored);
        CHECK(tested->stored().body() == "found");
        CHECK(tested.told(idempo::event_type::not_persisted) == 1);
    }
}

// By the old token the store would grant the claim again where the Abandon is lost, and the handler would run although
// it must not; and an Abandon that comes late would free a later claim.
TEST_CASE("exchange: a claim after a wait has a fencing token of its own", "[exchange]") {
    idempo::options options;
    options.on_takeover = idempo::on_takeover::reconcile;
    options.reconcile = [](auto const&) { return idempo::hold_claim{}; };
    options.wait = 10s;
    session tested(options);
    tested.start();
    auto const first = tested->claim().fencing_token;
    REQUIRE(tested->claimed({}, idempo::expired{1}) == step::claim);
    CHECK(tested->claim().fencing_token == first);
    REQUIRE(tested->claimed({}, idempo::granted{2}) == step::reconcile);
    REQUIRE(tested->reconciled(idempo::hold_claim{}) == step::abandon);
    CHECK(tested->claim().fencing_token == first);
    idempo::error_code const ending = GENERATE(false, true) ? idempo::error_code(failure) : idempo::error_code();
    REQUIRE(tested->abandoned(ending) == step::pause);
    REQUIRE(tested->paused() == step::claim);
    CHECK(tested->claim().fencing_token != first);
}

// The record may have expired in the meantime, or somebody may have freed it, and others may have kept steps since.
TEST_CASE("exchange: a claim after a wait knows nothing of what an earlier one found", "[exchange]") {
    idempo::options options;
    options.on_takeover = idempo::on_takeover::reconcile;
    options.reconcile = [](auto const&) { return idempo::hold_claim{}; };
    options.wait = 10s;
    idempo::shared_bytes const charged(idempo::detail::step_log({}, {}).entry("charge", "charge-1"));
    bool const had_step = GENERATE(false, true);
    session tested(options);
    tested.start();
    REQUIRE(tested->claimed({}, idempo::parked{1, idempo::shared_bytes("no answer")}) == step::claim);
    REQUIRE(tested->claimed({}, idempo::granted{2, had_step ? charged : idempo::shared_bytes()}) == step::reconcile);
    CHECK(tested->execution().kept_step("charge").has_value() == had_step);
    CHECK(tested->execution().reason() == "no answer");
    REQUIRE(tested->reconciled(idempo::hold_claim{}) == step::abandon);
    REQUIRE(tested->abandoned({}) == step::pause);
    REQUIRE(tested->paused() == step::claim);

    REQUIRE(tested->claimed({}, idempo::granted{1, had_step ? idempo::shared_bytes() : charged}) == step::run);
    CHECK(tested->execution().kept_step("charge").has_value() == !had_step);
    CHECK(tested->execution().attempt() == 1);
    CHECK(tested->execution().key() == "k-1");
    CHECK(tested->execution().reason().empty());
}

TEST_CASE("exchange: reconciliation is asked under the claim alone", "[exchange]") {
    idempo::options options;
    options.on_takeover = idempo::on_takeover::reconcile;
    options.reconcile = [](auto const&) { return idempo::hold_claim{}; };

    SECTION("somebody else was faster") {
        session tested(options);
        tested.start();
        REQUIRE(tested->claimed({}, idempo::expired{1}) == step::claim);
        CHECK(tested->claimed({}, idempo::completed{session::record(201, "theirs")}) == step::respond);
        CHECK(tested->stored().body() == "theirs");
    }
    SECTION("somebody else asks") {
        session tested(options);
        tested.start();
        REQUIRE(tested->claimed({}, idempo::expired{1}) == step::claim);
        check_refused(tested, tested->claimed({}, idempo::in_flight{2s}), idempo::refusal::in_flight);
    }
    SECTION("the record has gone meanwhile: it is a first request") {
        session tested(options);
        tested.start();
        REQUIRE(tested->claimed({}, idempo::expired{1}) == step::claim);
        CHECK(tested->claimed({}, idempo::granted{1}) == step::run);
    }
    SECTION("the store does not answer: nothing runs, unprotected neither") {
        options.on_store_error = idempo::on_store_error::run_unprotected;
        session tested(options);
        tested.start();
        REQUIRE(tested->claimed({}, idempo::expired{1}) == step::claim);
        REQUIRE(tested->claimed(failure, {}) == step::abandon);
        check_refused(tested, tested->abandoned({}), idempo::refusal::store_unavailable);
    }
    SECTION("the heartbeat beats meanwhile, and while the handler runs") {
        session tested(options, exchange::claim_lifetime::leased, true);
        tested.start();
        tested->claimed({}, idempo::expired{1});
        REQUIRE(tested->claimed({}, idempo::granted{2}) == step::heartbeat);
        REQUIRE(tested->beating(nullptr) == step::reconcile);
        CHECK(tested->reconciled(idempo::run_again{}) == step::run);
    }
    SECTION("a claim without a lease is not left behind") {
        session tested(options, exchange::claim_lifetime::call);
        tested.start();
        tested->claimed({}, idempo::expired{1});
        REQUIRE(tested->claimed({}, idempo::granted{2}) == step::reconcile);
        CHECK(tested->owes_lease());
        REQUIRE(tested->reconciled(idempo::hold_claim{}) == step::abandon);
        REQUIRE(tested->abandoned(failure) == step::renew);
        check_refused(tested, tested->renewed({}), idempo::refusal::outcome_unknown);
    }
}

TEST_CASE("exchange: a parked record", "[exchange]") {
    idempo::options options;
    idempo::parked const met{2, idempo::shared_bytes("no answer")};

    SECTION("is refused, and a retry may find another answer") {
        options.on_takeover = GENERATE(idempo::on_takeover::run, idempo::on_takeover::hold);
        session tested(options);
        tested.start();
        CHECK_FALSE(tested->claim().take_parked);
        check_refused(tested, tested->claimed({}, met), idempo::refusal::outcome_unknown);
        CHECK(tested->refusal().retry_after == 1s);
        CHECK(tested->answer_fields().empty());
    }
    SECTION("is refused in guard mode, too") {
        options.on_duplicate = idempo::on_duplicate::reject;
        session tested(options);
        tested.start();
        check_refused(tested, tested->claimed({}, met), idempo::refusal::outcome_unknown);
    }
    SECTION("is reconciled whatever becomes of ended leases") {
        options.on_takeover =
            GENERATE(idempo::on_takeover::run, idempo::on_takeover::hold, idempo::on_takeover::reconcile);
        options.reconcile = [](auto const&) { return idempo::hold_claim{}; };
        session tested(options);
        tested.start();
        REQUIRE(tested->claimed({}, met) == step::claim);
        CHECK(tested->claim().take_parked);
        REQUIRE(tested->claimed({}, idempo::granted{3}) == step::reconcile);
        CHECK(tested->execution().attempt() == 2);
        CHECK(tested->execution().reason() == "no answer");
        REQUIRE(tested->reconciled(idempo::run_again{}) == step::run);
        CHECK(tested->execution().attempt() == 3);
    }
    SECTION("is waited for, and asked about once") {
        options.wait = 10s;
        options.reconcile = [](auto const&) { return idempo::hold_claim{}; };
        session tested(options);
        tested.start();
        REQUIRE(tested->claimed({}, met) == step::claim);
        REQUIRE(tested->claimed({}, idempo::granted{3}) == step::reconcile);
        REQUIRE(tested->reconciled(idempo::hold_claim{}) == step::abandon);
        REQUIRE(tested->abandoned({}) == step::pause);
        REQUIRE(tested->paused() == step::claim);
        CHECK_FALSE(tested->claim().take_parked);
        REQUIRE(tested->claimed({}, met) == step::pause);
        REQUIRE(tested->paused() == step::claim);
        CHECK(tested->claimed({}, idempo::completed{session::record(201, "settled")}) == step::respond);
        CHECK(tested->stored().body() == "settled");
        CHECK(tested.told(idempo::event_type::settled) == 1);
    }
    SECTION("is settled while a request waits, which tells so") {
        options.wait = 10s;
        session tested(options);
        tested.start();
        REQUIRE(tested->claimed({}, met) == step::pause);
        REQUIRE(tested->paused() == step::claim);
        SECTION("with a response") {
            CHECK(tested->claimed({}, idempo::completed{session::record(201, "settled")}) == step::respond);
            CHECK(tested.told(idempo::event_type::settled) == 1);
        }
        SECTION("without one") {
            CHECK(tested->claimed({}, idempo::granted{1}) == step::run);
            CHECK(tested.told(idempo::event_type::settled) == 1);
        }
        SECTION("with what nobody can read") {
            CHECK(tested->claimed({}, idempo::completed{idempo::shared_bytes("nonsense")}) == step::respond);
            CHECK(tested.told(idempo::event_type::settled) == 1);
            CHECK(tested.told(idempo::event_type::record_unreadable) == 1);
        }
        SECTION("but not where it is parked still, or somebody asks about it: that one tells") {
            REQUIRE(tested->claimed({}, met) == step::pause);
            REQUIRE(tested->paused() == step::claim);
            REQUIRE(tested->claimed({}, idempo::in_flight{1s}) == step::pause);
            REQUIRE(tested->paused() == step::claim);
            CHECK(tested->claimed({}, idempo::completed{session::record(201, "found")}) == step::respond);
            CHECK(tested.told(idempo::event_type::settled) == 0);
        }
    }
    SECTION("is waited for no longer than asked") {
        options.wait = 10s;
        session tested(options);
        tested.start();
        auto next = tested->claimed({}, met);
        while (next == step::pause) {
            test_now += tested->pause();
            tested->paused();
            next = tested->claimed({}, met);
        }
        check_refused(tested, next, idempo::refusal::outcome_unknown);
        CHECK(test_now.time_since_epoch() == 10s);
    }
    SECTION("is no longer waited for when the client has gone") {
        options.wait = 10s;
        session tested(options);
        tested.start();
        REQUIRE(tested->claimed({}, met) == step::pause);
        check_refused(tested, tested->pause_cancelled(), idempo::refusal::outcome_unknown);
    }
}

namespace {

/// A driver that reaches no store.
struct no_driver final : idempo::detail::checkpoint {
    [[nodiscard]] bool keeps_at_once() const noexcept override { return true; }
    [[nodiscard]] bool keep(idempo::detail::step_place, idempo::shared_bytes, idempo::error_code&) override {
        return is_kept;
    }
    void async_keep(idempo::detail::step_place, idempo::shared_bytes, saved_handler) override {}
    [[nodiscard]] boost::asio::any_io_executor executor() const override { return {}; }

    bool is_kept = true;
};

}  // namespace

TEST_CASE("exchange: a handler that cannot tell parks the record", "[exchange]") {
    no_driver driver;
    session tested;
    tested->provide(driver, true, true);
    tested.run();
    tested->execution().unknown("no answer from the bank");

    SECTION("whatever it answers") {
        auto const status = GENERATE(200U, 504U);
        REQUIRE(tested->ran(status) == step::park);
        CHECK(tested->park().reason.view() == "no answer from the bank");
        CHECK(tested->park().fencing_token == tested->claim().fencing_token);
        CHECK(tested->parked({}, true) == step::respond);
        CHECK(tested->answer() == answer::handler);
        CHECK(tested.told(idempo::event_type::parked) == 1);
    }
    SECTION("whatever it throws") {
        REQUIRE(tested->threw(std::make_exception_ptr(std::runtime_error("boom"))) == step::park);
        CHECK(tested->parked({}, true) == step::respond);
        CHECK(tested->answer() == answer::exception);
    }
    SECTION("even where nobody can read the answer") {
        REQUIRE(tested->ran_unreadably(nullptr) == step::park);
        CHECK(tested->parked({}, true) == step::respond);
    }
    SECTION("unless somebody has taken over") {
        REQUIRE(tested->ran(504) == step::park);
        check_refused(tested, tested->parked({}, false), idempo::refusal::in_flight);
        CHECK(tested.told(idempo::event_type::fenced) == 1);
    }
    SECTION("as long as the store can be reached in time") {
        auto next = tested->ran(504);
        int tries = 0;
        while (next == step::park) {
            ++tries;
            next = tested->parked(failure, false);
            if (next != step::pause) break;
            test_now += tested->pause();
            next = tested->paused();
        }
        CHECK(tries > 10);
        CHECK(next == step::respond);
        CHECK(tested->answer() == answer::handler);
        CHECK(tested.told(idempo::event_type::not_persisted) == 1);
    }
    SECTION("where it has its last word") {
        tested->execution().keep();
        CHECK(tested->ran(504) == step::capture);
    }
}

TEST_CASE("exchange: what a store cannot do is an error at the call", "[exchange]") {
    no_driver driver;
    session tested;
    SECTION("with a driver") { tested->provide(driver, false, false); }
    SECTION("without one") {}
    tested.run();
    CHECK_THROWS_AS(tested->execution().unknown("no answer"), std::logic_error);
    CHECK_THROWS_AS(tested->execution().step("a", [](std::string) { return std::string(); }), std::logic_error);
    CHECK(tested->ran(201) == step::capture);
}

TEST_CASE("exchange: steps decide what a claim is given up for", "[exchange]") {
    no_driver driver;
    session tested;
    tested->provide(driver, true, true);
    tested.run();
    auto& execution = tested->execution();
    auto const step_of = [&](std::string_view label) {
        return execution.step(label, [](std::string) { return std::string("result"); });
    };

    SECTION("a released status leaves them") {
        step_of("a");
        CHECK(tested->ran(503) == step::abandon);
    }
    SECTION("a handler that says so takes them back") {
        step_of("a");
        execution.release();
        REQUIRE(tested->ran(503) == step::take_back);
        SECTION("then it gives up") { CHECK(tested->taken_back({}) == step::abandon); }
        SECTION("or leaves the claim to its lease") {
            CHECK(tested->taken_back(failure) == step::respond);
            CHECK(tested.told(idempo::event_type::held) == 1);
        }
    }
    SECTION("a handler that says so and has begun none leaves those of others") {
        execution.release();
        CHECK(tested->ran(503) == step::abandon);
    }
    SECTION("a lost claim is answered as one in flight") {
        driver.is_kept = false;
        CHECK_THROWS_AS(step_of("a"), idempo::execution_lost);
        CHECK_THROWS_AS(step_of("b"), idempo::execution_lost);
        check_refused(tested, tested->threw(std::make_exception_ptr(idempo::execution_lost())),
                      idempo::refusal::in_flight);
        CHECK(tested.told(idempo::event_type::fenced) == 1);
    }
    SECTION("a lost lease ends it before the next step") {
        execution.watch(std::make_shared<std::atomic<bool> const>(true));
        CHECK_THROWS_AS(step_of("a"), idempo::execution_lost);
    }
}

TEST_CASE("exchange: guard mode", "[exchange]") {
    idempo::options options;
    options.on_duplicate = idempo::on_duplicate::reject;
    session tested(options);
    SECTION("any second request with a used key") {
        tested.start();
        auto met = GENERATE(0, 1);
        auto const result = met == 0 ? idempo::claim_result(idempo::completed{idempo::make_tombstone(200)})
                                     : idempo::claim_result(idempo::mismatch{});
        check_refused(tested, tested->claimed({}, result), idempo::refusal::duplicate);
    }
    SECTION("in flight") {
        tested.start();
        check_refused(tested, tested->claimed({}, idempo::in_flight{10s}), idempo::refusal::in_flight);
    }
    SECTION("a 2xx keeps the key, and no response is stored") {
        tested.run();
        CHECK(tested->ran(GENERATE(200U, 201U, 204U, 299U)) == step::complete);
        CHECK(tested->complete().record.size() <= idempo::small_record_bytes);
    }
    SECTION("anything else releases it") {
        tested.run();
        CHECK(tested->ran(GENERATE(302U, 400U, 404U, 409U, 500U)) == step::abandon);
    }
}

TEST_CASE("exchange: the observer is told the begin and end of each step, with its duration", "[exchange]") {
    session tested;
    tested.start();
    test_now += 2ms;
    tested->claimed({}, idempo::granted{1});
    test_now += 30ms;
    tested->ran(201);
    tested->captured(session::record(201));
    test_now += 4ms;
    tested->completed({}, idempo::done{});

    std::vector<std::pair<idempo::event_step, std::chrono::steady_clock::duration>> ended;
    for (auto const& event : tested.events()) {
        if (event.type == idempo::event_type::step_ended) ended.emplace_back(event.step, event.duration);
    }
    using idempo::event_step;
    CHECK(ended == decltype(ended){{event_step::claim, 2ms}, {event_step::handler, 30ms}, {event_step::complete, 4ms}});
    CHECK(tested.told(idempo::event_type::step_began) == 3);
}

TEST_CASE("exchange: a claim ends with the call where the store is at hand", "[exchange]") {
    using lifetime = exchange::claim_lifetime;
    idempo::options options;
    CHECK(exchange::lifetime_of(options, true, true) == lifetime::call);
    CHECK(exchange::lifetime_of(options, true, false) == lifetime::call);
    CHECK(exchange::lifetime_of(options, false, true) == lifetime::leased);
    CHECK(exchange::lifetime_of(options, false, false) == lifetime::leased);
    options.heartbeat = false;
    CHECK(exchange::lifetime_of(options, true, true) == lifetime::call);
    CHECK(exchange::lifetime_of(options, true, false) == lifetime::leased);
}

TEST_CASE("exchange: a leased claim is renewed while the handler runs", "[exchange]") {
    idempo::options options;
    SECTION("and the handler learns that it is lost") {
        session tested(options, exchange::claim_lifetime::leased, true);
        tested.start();
        REQUIRE(tested->claimed({}, idempo::granted{}) == step::heartbeat);
        CHECK_FALSE(tested->handed_over());
        auto const lost = std::make_shared<std::atomic<bool>>(false);
        REQUIRE(tested->beating(lost) == step::run);
        CHECK(tested->handed_over());
        CHECK_FALSE(tested->execution().lost());
        *lost = true;
        CHECK(tested->execution().lost());
    }
    SECTION("not where nobody wants it") {
        options.heartbeat = false;
        session tested(options, exchange::claim_lifetime::leased, true);
        tested.run();
    }
    SECTION("not where there is no lease") {
        session tested(options, exchange::claim_lifetime::call, true);
        tested.run();
    }
    SECTION("not where there is no claim") {
        options.on_store_error = idempo::on_store_error::run_unprotected;
        session tested(options, exchange::claim_lifetime::leased, true);
        tested.start();
        CHECK(tested->claimed(idempo::error::store_full, {}) == step::run);
    }
}

TEST_CASE("exchange: what throws after the handler has answered is not the handler's throw", "[exchange]") {
    idempo::options options;
    auto const thrown = std::make_exception_ptr(std::runtime_error("no memory"));

    SECTION("a response that cannot be read leaves a tombstone, and is sent") {
        session tested;
        tested.run();
        CHECK(tested->ran_unreadably(nullptr) == step::complete);
        CHECK(tested->completed({}, idempo::done{}) == step::respond);
        CHECK(tested->answer() == answer::handler);
        CHECK(tested.told(idempo::event_type::tombstone) == 1);
    }
    SECTION("a response that is lost leaves one, too") {
        session tested;
        tested.run();
        CHECK(tested->ran_unreadably(thrown) == step::complete);
        CHECK(tested->completed({}, idempo::done{}) == step::respond);
        CHECK(tested->answer() == answer::exception);
        CHECK(tested->refusal().what == idempo::refusal::handler_threw);
        CHECK(tested.told(idempo::event_type::handler_threw) == 1);
    }
    SECTION("a record that cannot be made leaves one, and the response is sent") {
        session tested;
        tested.run();
        REQUIRE(tested->ran(201) == step::capture);
        CHECK(tested->capture_threw(thrown) == step::complete);
        CHECK(tested->completed({}, idempo::done{}) == step::respond);
        CHECK(tested->answer() == answer::handler);
        CHECK(tested.told(idempo::event_type::tombstone) == 1);
    }
    SECTION("unless the handler has said that nothing happened") {
        session tested;
        tested.run();
        tested->execution().release();
        CHECK(tested->ran_unreadably(nullptr) == step::abandon);
    }
}

TEST_CASE("exchange: a layer further out learns what to make of the answer", "[exchange]") {
    using verdict = idempo::execution::verdict;
    idempo::execution outer;
    session tested;

    SECTION("a refusal is not to be stored") {
        tested.start();
        tested->claimed({}, idempo::in_flight{30s});
        tested->report_to(outer);
        CHECK(outer.decision() == verdict::release);
    }
    SECTION("a refusal of the key is not, either") {
        tested->admit({2, "a", 0});
        tested->report_to(outer);
        CHECK(outer.decision() == verdict::release);
    }
    SECTION("a stored response is, with its marker") {
        tested.start();
        tested->claimed({}, idempo::completed{session::record(201)});
        tested->report_to(outer);
        CHECK(outer.decision() == verdict::by_policy);
        CHECK(outer.passes_replay());
    }
    SECTION("the handler's word holds there, too") {
        bool const keeps = GENERATE(true, false);
        tested.run();
        keeps ? tested->execution().keep() : tested->execution().release();
        tested->ran(201);
        tested->report_to(outer);
        CHECK(outer.decision() == (keeps ? verdict::keep : verdict::release));
    }
    SECTION("by its policy where the handler said nothing") {
        tested.capture();
        tested->completed({}, idempo::done{});
        tested->report_to(outer);
        CHECK(outer.decision() == verdict::by_policy);
        CHECK_FALSE(outer.passes_replay());
    }
}

TEST_CASE("exchange: the fields of every answer", "[exchange]") {
    auto const fields_of = [](session& tested) {
        idempo::http::response<idempo::http::string_body> response;
        tested->answer_fields().apply_to(response);
        return response;
    };
    idempo::options options;
    SECTION("none by default") {
        session tested(options);
        tested.start();
        tested->claimed({}, idempo::in_flight{30s});
        auto const response = fields_of(tested);
        CHECK(response.begin() == response.end());
    }
    SECTION("a final refusal says so") {
        session tested(options);
        tested.start();
        tested->claimed({}, idempo::mismatch{});
        CHECK(fields_of(tested)["x-should-retry"] == "false");
    }
    SECTION("in the field that the SDK obeys") {
        session tested(idempo::options::stripe());
        tested.start();
        tested->claimed({}, idempo::mismatch{});
        CHECK(fields_of(tested)["Stripe-Should-Retry"] == "false");
        CHECK(fields_of(tested).count("x-should-retry") == 0);
    }
    SECTION("in none where there is none") {
        options.should_retry_header = "";
        session tested(options);
        tested.start();
        tested->claimed({}, idempo::mismatch{});
        CHECK(fields_of(tested).count("x-should-retry") == 0);
    }
    SECTION("the key, as it was sent") {
        options.echo_key = true;
        session tested(options);
        REQUIRE(tested->admit({1, R"("a b")", 0}) == step::identify);
        CHECK(fields_of(tested)["Idempotency-Key"] == R"("a b")");
    }
    SECTION("not what is no key") {
        options.echo_key = true;
        session tested(options);
        tested->admit({1, "\"a", 0});
        CHECK(fields_of(tested).count("Idempotency-Key") == 0);
    }
}

TEST_CASE("exchange: where a full store has no room for a trace, the tombstone goes without it", "[exchange]") {
    constexpr std::string_view trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    idempo::options options;
    options.keep_traceparent = true;
    session tested(options);
    REQUIRE(tested->admit({1, "k-1", 10, false, trace}) == step::identify);
    REQUIRE(tested->identified(idempo::detail::request_identity{}) == step::claim);
    REQUIRE(tested->claimed({}, idempo::granted{1}) == step::run);
    SECTION("after an answer") {
        REQUIRE(tested->ran(201) == step::capture);
        REQUIRE(tested->captured(session::record(201)) == step::complete);
    }
    SECTION("after a tombstone with one") {
        tested->execution().forget_body();
        REQUIRE(tested->ran(201) == step::complete);
        CHECK(tested->complete().record.view() == idempo::make_tombstone(201, trace).view());
    }
    CHECK(tested->completed(idempo::error::store_full, {}) == step::complete);
    CHECK(tested->complete().record.view() == idempo::make_tombstone(201).view());
    CHECK(tested->completed({}, idempo::done{}) == step::respond);
    CHECK(tested.told(idempo::event_type::tombstone) == 1);
}

TEST_CASE("exchange: forget_body stores a tombstone, and only where an answer would be stored", "[exchange]") {
    session tested;
    tested.run();
    tested->execution().forget_body();
    SECTION("an answer") {
        CHECK(tested->ran(201) == step::complete);
        CHECK(tested->complete().record.view() == idempo::make_tombstone(201).view());
    }
    SECTION("a status that is not stored") { CHECK(tested->ran(503) == step::abandon); }
}
