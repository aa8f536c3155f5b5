// SPDX-License-Identifier: MIT

// The life of a request as a table: what is reported to the machine, what it says to do, and the answer. No server, no
// store, no handler. docs/guarantees.md says the same in sentences.

#include <idempo/exchange/exchange.hpp>

#include "support/catch.hpp"

#include <boost/endian/conversion.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using idempo::detail::exchange;
using step = exchange::step;
using answer = exchange::answer_source;
using lifetime = exchange::claim_lifetime;
using idempo::refusal;

thread_local exchange::time_point test_now{};
exchange::time_point now() { return test_now; }

/// One report, and the step that follows.
struct move {
    std::function<step(exchange&)> report;
    step next;
};

/// What the client gets.
struct outcome {
    answer from;
    std::optional<refusal> what{};
    unsigned status = 0;
};

struct row {
    std::string name;
    std::function<void(idempo::options&)> choose;
    std::vector<move> moves;
    outcome ends;
    lifetime claim = lifetime::leased;
    bool renewable = false;
    /// In a transaction: whether it ends with the handler's rows.
    bool rows = false;
};

auto const failure = idempo::error_code(idempo::error::store_timed_out);
auto const thrown = std::make_exception_ptr(std::runtime_error("thrown"));
constexpr std::array<std::uint32_t, 2> rules{7, 8};

idempo::fingerprint by_rule(std::uint32_t number) {
    idempo::fingerprint made;
    boost::endian::store_big_u32(made.bytes.data(), number);
    return made;
}

idempo::shared_bytes record(unsigned status) {
    idempo::http::response<idempo::http::string_body> response;
    response.result(status);
    return idempo::make_record(response, {}).value();
}

/// \name Reports
/// @{
move admit(std::size_t lines, std::string const& field, step next, std::size_t body = 0, bool draining = false) {
    return {[=](exchange& tested) { return tested.admit({lines, field, body, draining}); }, next};
}
move const admitted = admit(1, "k-1", step::identify);
move const identified{[](exchange& tested) {
                          idempo::detail::request_identity identity;
                          identity.compared = identity.asked = by_rule(rules[0]);
                          identity.rules = rules;
                          return tested.identified(identity);
                      },
                      step::claim};
move claimed(idempo::claim_result const& result, step next) {
    return {[=](exchange& tested) { return tested.claimed({}, result); }, next};
}
move claim_failed(idempo::error_code error, step next) {
    return {[=](exchange& tested) { return tested.claimed(error, {}); }, next};
}
move const granted = claimed(idempo::granted{1}, step::run);
move ran(unsigned status, step next) {
    return {[=](exchange& tested) { return tested.ran(status); }, next};
}
move says(void (idempo::execution::*word)() noexcept, move then) {
    return {[=](exchange& tested) {
                (tested.execution().*word)();
                return then.report(tested);
            },
            then.next};
}
move threw(step next) {
    return {[](exchange& tested) { return tested.threw(thrown); }, next};
}
move captured(unsigned status, step next = step::complete) {
    return {[=](exchange& tested) { return tested.captured(record(status)); }, next};
}
move const unstorable{[](exchange& tested) { return tested.captured({}); }, step::complete};
move completed(idempo::complete_result const& result = idempo::done{}) {
    return {[=](exchange& tested) { return tested.completed({}, result); }, step::respond};
}
move complete_failed(step next) {
    return {[](exchange& tested) { return tested.completed(failure, {}); }, next};
}
move abandoned(step next = step::respond, idempo::error_code error = {}) {
    return {[=](exchange& tested) { return tested.abandoned(error); }, next};
}
move const renewed{[](exchange& tested) { return tested.renewed({}); }, step::respond};
move paused(step next, std::chrono::milliseconds later = 0ms) {
    return {[=](exchange& tested) {
                test_now += later;
                return tested.paused();
            },
            next};
}
move reconciled(idempo::reconciliation const& result, step next) {
    return {[=](exchange& tested) { return tested.reconciled(result); }, next};
}
/// @}

std::vector<move> operator+(std::vector<move> before, std::vector<move> const& after) {
    before.insert(before.end(), after.begin(), after.end());
    return before;
}

std::vector<move> const at_claim{admitted, identified};
std::vector<move> const at_run{admitted, identified, granted};

outcome refused(refusal what, unsigned status) { return {answer::refusal, what, status}; }
outcome const own_answer{answer::handler};
outcome const own_exception{answer::exception};
outcome const replay{answer::stored};
auto const by_default = [](idempo::options&) {};

void reject(idempo::options& options) { options.on_duplicate = idempo::on_duplicate::reject; }
void wait_a_second(idempo::options& options) { options.wait = 1s; }
void run_unprotected(idempo::options& options) { options.on_store_error = idempo::on_store_error::run_unprotected; }
void hold(idempo::options& options) { options.on_takeover = idempo::on_takeover::hold; }
void reconcile(idempo::options& options) {
    options.on_takeover = idempo::on_takeover::reconcile;
    options.reconcile = [](auto const&) { return idempo::hold_claim{}; };
}
auto on_throw(idempo::on_throw policy) {
    return [=](idempo::options& options) { options.on_throw = policy; };
}
void persist_for_a_second(idempo::options& options) { options.persist_timeout = 1s; }

std::vector<row> before_the_claim() {
    auto const strict = [](idempo::options& options) { options.syntax = idempo::key_syntax::strict; };
    auto const opaque = [](idempo::options& options) { options.syntax = idempo::key_syntax::opaque; };
    auto const small = [](idempo::options& options) { options.max_request_body = 10; };
    auto const malformed = refused(refusal::key_malformed, 400);
    return {
        {"no key where one is required", by_default, {admit(0, "", step::respond)}, refused(refusal::key_missing, 400)},
        {"two lines", by_default, {admit(2, "a", step::respond)}, malformed},
        {"an empty key", by_default, {admit(1, "", step::respond)}, malformed},
        {"an empty String", by_default, {admit(1, "\"\"", step::respond)}, malformed},
        {"a key of 256 characters", by_default, {admit(1, std::string(256, 'k'), step::respond)}, malformed},
        {"a control byte", by_default, {admit(1, "a\tb", step::respond)}, malformed},
        {"a byte that is not ASCII", by_default, {admit(1, "caf\xe9", step::respond)}, malformed},
        {"a bare key where a String is required", strict, {admit(1, "a", step::respond)}, malformed},
        {"opaque, of 256 characters", opaque, {admit(1, std::string(256, 'k'), step::respond)}, malformed},
        {"a body over the limit", small, {admit(1, "a", step::respond, 11)}, refused(refusal::body_too_large, 413)},
        {"while draining", by_default, {admit(1, "a", step::respond, 0, true)}, refused(refusal::shutting_down, 503)},
        {"a key that the application does not accept",
         by_default,
         {admitted, {[](exchange& tested) { return tested.key_not_accepted(); }, step::respond}},
         malformed},
        {"a caller whom nobody knows",
         by_default,
         {admitted, {[](exchange& tested) { return tested.unidentified(); }, step::respond}},
         refused(refusal::caller_unknown, 403)},
        {"a function of the options that throws",
         by_default,
         {admitted, {[](exchange& tested) { return tested.identify_threw(thrown); }, step::respond}},
         own_exception},
    };
}

std::vector<row> at_the_claim() {
    auto const tombstone = idempo::completed{idempo::make_tombstone(201)};
    auto const in_flight = claimed(idempo::in_flight{30s}, step::respond);
    // The record is claimed first, so that nobody else asks at the same time.
    auto const asked =
        at_claim + std::vector{claimed(idempo::expired{1}, step::claim), claimed(idempo::granted{2}, step::reconcile)};
    auto const by_another_rule = claimed(idempo::mismatch{by_rule(rules[1])}, step::identify);
    move const by_that_rule{[](exchange& tested) { return tested.identified_by_rule(by_rule(rules[1])); }, step::claim};
    return {
        {"a completed record", by_default,
         at_claim + std::vector{claimed(idempo::completed{record(201)}, step::respond)}, replay},
        {"a tombstone", by_default, at_claim + std::vector{claimed(tombstone, step::respond)},
         refused(refusal::not_retained, 409)},
        {"what is no record", by_default,
         at_claim + std::vector{claimed(idempo::completed{idempo::shared_bytes("x")}, step::respond)},
         refused(refusal::record_unreadable, 500)},
        {"a used key whose record has expired", by_default,
         at_claim + std::vector{claimed(idempo::remembered{}, step::respond)}, refused(refusal::key_expired, 410)},
        {"the same, in guard mode", reject, at_claim + std::vector{claimed(idempo::remembered{}, step::respond)},
         refused(refusal::key_expired, 410)},
        {"in flight, waiting until it has expired", wait_a_second,
         at_claim + std::vector{claimed(idempo::in_flight{30s}, step::pause), paused(step::claim),
                                claimed(idempo::remembered{}, step::respond)},
         refused(refusal::key_expired, 410)},
        {"another request", by_default,
         at_claim + std::vector{claimed(idempo::mismatch{}, step::identify), by_that_rule,
                                claimed(idempo::mismatch{}, step::respond)},
         refused(refusal::key_reused, 422)},
        {"another request, by the rule of the record", by_default,
         at_claim + std::vector{claimed(idempo::mismatch{by_rule(rules[0])}, step::respond)},
         refused(refusal::key_reused, 422)},
        {"the same request, by a rule of before", by_default,
         at_claim + std::vector{by_another_rule, by_that_rule, claimed(idempo::completed{record(201)}, step::respond)},
         replay},
        {"a rule that nobody knows", by_default,
         at_claim + std::vector{claimed(idempo::mismatch{by_rule(6)}, step::respond)},
         refused(refusal::not_retained, 409)},
        {"in flight", by_default, at_claim + std::vector{in_flight}, refused(refusal::in_flight, 409)},
        {"in flight, waiting, and then done", wait_a_second,
         at_claim + std::vector{claimed(idempo::in_flight{30s}, step::pause), paused(step::claim),
                                claimed(idempo::completed{record(201)}, step::respond)},
         replay},
        {"in flight, waiting in vain", wait_a_second,
         at_claim + std::vector{claimed(idempo::in_flight{30s}, step::pause), paused(step::claim, 1s), in_flight},
         refused(refusal::in_flight, 409)},
        {"in flight, waiting for a client that goes", wait_a_second,
         at_claim + std::vector{claimed(idempo::in_flight{30s}, step::pause),
                                move{[](exchange& tested) { return tested.pause_cancelled(); }, step::respond}},
         refused(refusal::in_flight, 409)},
        {"guard mode, done", reject, at_claim + std::vector{claimed(tombstone, step::respond)},
         refused(refusal::duplicate, 409)},
        {"guard mode, whatever the body", reject, at_claim + std::vector{claimed(idempo::mismatch{}, step::respond)},
         refused(refusal::duplicate, 409)},
        {"guard mode, in flight", reject, at_claim + std::vector{in_flight}, refused(refusal::in_flight, 409)},
        {"hold, and the lease is over", hold, at_claim + std::vector{claimed(idempo::expired{1}, step::respond)},
         refused(refusal::outcome_unknown, 409)},
        {"reconcile: hold", reconcile,
         asked + std::vector{reconciled(idempo::hold_claim{}, step::abandon), abandoned()},
         refused(refusal::outcome_unknown, 409)},
        {"reconcile: it throws", reconcile,
         asked + std::vector{move{[](exchange& tested) { return tested.reconcile_threw(thrown); }, step::abandon},
                             abandoned()},
         refused(refusal::outcome_unknown, 409)},
        {"reconcile: run again", reconcile,
         asked + std::vector{reconciled(idempo::run_again{}, step::run), ran(201, step::capture), captured(201),
                             completed()},
         own_answer},
        {"reconcile: the answer that is to be stored", reconcile,
         asked +
             std::vector{reconciled(idempo::http::response<idempo::http::string_body>(), step::complete), completed()},
         replay},
        {"reconcile: a takeover whose answer is lost is given up, so that the next request may ask", reconcile,
         at_claim +
             std::vector{claimed(idempo::expired{1}, step::claim), claim_failed(failure, step::abandon), abandoned()},
         refused(refusal::store_unavailable, 503)},
        {"the store fails, and the claim may have been made", by_default,
         at_claim + std::vector{claim_failed(failure, step::abandon), abandoned(step::respond, failure)},
         refused(refusal::store_unavailable, 503)},
        {"the store is full, and has written nothing", by_default,
         at_claim + std::vector{claim_failed(idempo::error::store_full, step::respond)},
         refused(refusal::store_unavailable, 503)},
        {"the store fails, and the handler runs unprotected", run_unprotected,
         at_claim + std::vector{claim_failed(failure, step::abandon), abandoned(step::run), ran(201, step::respond)},
         own_answer},
        {"the handler throws unprotected", run_unprotected,
         at_claim + std::vector{claim_failed(idempo::error::store_full, step::run), threw(step::respond)},
         own_exception},
    };
}

std::vector<row> after_the_handler() {
    using idempo::execution;
    auto const keep = &execution::keep;
    auto const release = &execution::release;
    auto const no_lease = lifetime::call;
    move const beats{[](exchange& tested) { return tested.beating(nullptr); }, step::run};
    move const unreadable{[](exchange& tested) { return tested.ran_unreadably(nullptr); }, step::complete};
    move const lost{[](exchange& tested) { return tested.ran_unreadably(thrown); }, step::complete};
    move const unrecordable{[](exchange& tested) { return tested.capture_threw(thrown); }, step::complete};
    auto const release_unstorable = [](idempo::options& options) { options.unstorable = idempo::unstorable::release; };
    auto const stripe = [](idempo::options& options) { options = idempo::options::stripe(); };
    auto const no_status = [](idempo::options& options) { options.store_if = [](unsigned) { return false; }; };
    return {
        {"stored before it is answered", by_default,
         at_run + std::vector{ran(201, step::capture), captured(201), completed()}, own_answer},
        {"an error that is the request's fault is stored", by_default,
         at_run + std::vector{ran(404, step::capture), captured(404), completed()}, own_answer},
        {"401 is released", by_default, at_run + std::vector{ran(401, step::abandon), abandoned()}, own_answer},
        {"429 is released", by_default, at_run + std::vector{ran(429, step::abandon), abandoned()}, own_answer},
        {"500 is released", by_default, at_run + std::vector{ran(500, step::abandon), abandoned()}, own_answer},
        {"500 is stored for Stripe's clients", stripe,
         at_run + std::vector{ran(500, step::capture), captured(500), completed()}, own_answer},
        {"store_if decides", no_status, at_run + std::vector{ran(201, step::abandon), abandoned()}, own_answer},
        {"keep overrules the status", by_default,
         at_run + std::vector{says(keep, ran(500, step::capture)), captured(500), completed()}, own_answer},
        {"release overrules the status", by_default,
         at_run + std::vector{says(release, ran(201, step::abandon)), abandoned()}, own_answer},
        {"guard mode keeps the key of a success", reject, at_run + std::vector{ran(201, step::complete), completed()},
         own_answer},
        {"guard mode frees any other", reject, at_run + std::vector{ran(404, step::abandon), abandoned()}, own_answer},
        {"not storable: a tombstone, and the whole answer", by_default,
         at_run + std::vector{ran(201, step::capture), unstorable, completed()}, own_answer},
        {"not storable, released by choice", release_unstorable,
         at_run + std::vector{ran(201, step::capture),
                              move{[](exchange& tested) { return tested.captured({}); }, step::abandon}, abandoned()},
         own_answer},
        {"an answer that cannot be read: a tombstone", by_default, at_run + std::vector{unreadable, completed()},
         own_answer},
        {"an answer that is lost: a tombstone", by_default, at_run + std::vector{lost, completed()}, own_exception},
        {"an answer without room for a record: a tombstone", by_default,
         at_run + std::vector{ran(201, step::capture), unrecordable, completed()}, own_answer},
        {"renewed while the handler runs", by_default,
         at_claim + std::vector{claimed(idempo::granted{1}, step::heartbeat), beats, ran(201, step::capture),
                                captured(201), completed()},
         own_answer, lifetime::leased, true},
        {"not renewed where there is no lease", by_default,
         at_run + std::vector{ran(201, step::capture), captured(201), completed()}, own_answer, no_lease, true},
        {"taken over and done: the other's answer", by_default,
         at_run + std::vector{ran(201, step::capture), captured(201), completed(idempo::completed{record(200)})},
         replay},
        {"taken over and in flight", by_default,
         at_run + std::vector{ran(201, step::capture), captured(201), completed(idempo::in_flight{30s})},
         refused(refusal::in_flight, 409)},
        {"taken over by another request", by_default,
         at_run + std::vector{ran(201, step::capture), captured(201), completed(idempo::mismatch{})},
         refused(refusal::key_reused, 422)},
        {"the store fails and comes back", persist_for_a_second,
         at_run + std::vector{ran(201, step::capture), captured(201), complete_failed(step::pause),
                              paused(step::complete, 10ms), completed()},
         own_answer},
        {"the store fails for too long: the answer, and nothing is released", persist_for_a_second,
         at_run + std::vector{ran(201, step::capture), captured(201), complete_failed(step::pause),
                              paused(step::complete, 1s), complete_failed(step::respond)},
         own_answer},
        {"the same without a lease: it gets one", persist_for_a_second,
         at_run + std::vector{ran(201, step::capture), captured(201), complete_failed(step::pause),
                              paused(step::complete, 1s), complete_failed(step::renew), renewed},
         own_answer, no_lease},
        {"a claim that cannot be given up is left to its lease", by_default,
         at_run + std::vector{ran(500, step::abandon), abandoned(step::respond, failure)}, own_answer},
        {"the same without a lease", by_default,
         at_run + std::vector{ran(500, step::abandon), abandoned(step::renew, failure), renewed}, own_answer, no_lease},
        {"thrown: released", by_default, at_run + std::vector{threw(step::abandon), abandoned()}, own_exception},
        {"thrown: held", on_throw(idempo::on_throw::hold), at_run + std::vector{threw(step::respond)}, own_exception},
        {"thrown: held, without a lease", on_throw(idempo::on_throw::hold),
         at_run + std::vector{threw(step::renew), renewed}, own_exception, no_lease},
        {"thrown: a stored 500", on_throw(idempo::on_throw::store_500),
         at_run + std::vector{threw(step::complete), completed()}, own_exception},
        {"thrown, and the handler says keep", by_default,
         at_run + std::vector{says(keep, threw(step::complete)), completed()}, own_exception},
        {"thrown, and the handler says release", on_throw(idempo::on_throw::store_500),
         at_run + std::vector{says(release, threw(step::abandon)), abandoned()}, own_exception},
    };
}

row in_transaction(std::string name, std::function<void(idempo::options&)> choose, std::vector<move> moves,
                   outcome ends, bool rows = false) {
    return {std::move(name), std::move(choose), std::move(moves), ends, lifetime::transaction, false, rows};
}

move undone(step next) {
    return {[](exchange& tested) { return tested.undone(thrown); }, next};
}
move commit_refused(step next) {
    return {[](exchange& tested) { return tested.commit_refused(thrown); }, next};
}
move const in_doubt{[](exchange& tested) { return tested.commit_in_doubt(thrown); }, step::respond};
move const overloaded{[](exchange& tested) { return tested.overloaded(); }, step::respond};

std::vector<row> in_a_transaction() {
    using idempo::execution;
    auto const keep = &execution::keep;
    auto const release = &execution::release;
    auto const unavailable = refused(refusal::store_unavailable, 503);
    auto const no_status = [](idempo::options& options) { options.store_if = [](unsigned) { return false; }; };
    auto const at_commit = at_run + std::vector{ran(201, step::capture), captured(201)};
    auto const store_500 = on_throw(idempo::on_throw::store_500);
    move const unreadable{[](exchange& tested) { return tested.ran_unreadably(nullptr); }, step::complete};
    return {
        in_transaction("committed with its record", by_default, at_commit + std::vector{completed()}, own_answer, true),
        in_transaction("a refusal of the handler's is stored without rows", by_default,
                       at_run + std::vector{ran(402, step::capture), captured(402), completed()}, own_answer),
        in_transaction("a failure leaves nothing", by_default,
                       at_run + std::vector{ran(500, step::abandon), abandoned()}, own_answer),
        in_transaction("keep overrules the status", by_default,
                       at_run + std::vector{says(keep, ran(500, step::capture)), captured(500), completed()},
                       own_answer, true),
        in_transaction("release overrules the status", by_default,
                       at_run + std::vector{says(release, ran(201, step::abandon)), abandoned()}, own_answer),
        in_transaction("rows that stay leave a record, whatever store_if says", no_status,
                       at_run + std::vector{ran(201, step::complete), completed()}, own_answer, true),
        in_transaction("rows that stay leave a record in guard mode", reject,
                       at_run + std::vector{ran(302, step::complete), completed()}, own_answer, true),
        in_transaction("an answer that cannot be read keeps its rows, under a tombstone", by_default,
                       at_run + std::vector{unreadable, completed()}, own_answer, true),
        in_transaction("thrown: nothing is left", by_default, at_run + std::vector{threw(step::abandon), abandoned()},
                       own_exception),
        in_transaction("thrown: a stored 500, without rows", store_500,
                       at_run + std::vector{threw(step::complete), completed()}, own_exception),
        in_transaction("thrown, and the handler says keep", by_default,
                       at_run + std::vector{says(keep, threw(step::complete)), completed()}, own_exception, true),
        in_transaction("undone by the database", by_default, at_run + std::vector{undone(step::abandon), abandoned()},
                       unavailable),
        in_transaction("undone at COMMIT", by_default, at_commit + std::vector{complete_failed(step::respond)},
                       unavailable, true),
        in_transaction("COMMIT in doubt", by_default, at_commit + std::vector{in_doubt}, unavailable, true),
        in_transaction("COMMIT refused", by_default,
                       at_commit + std::vector{commit_refused(step::abandon), abandoned()}, own_exception),
        in_transaction("COMMIT refused: a stored 500, in a transaction of its own", store_500,
                       at_commit + std::vector{commit_refused(step::claim), claimed(idempo::granted{1}, step::complete),
                                               completed()},
                       own_exception),
        in_transaction("COMMIT refused, and another request was faster", store_500,
                       at_commit + std::vector{commit_refused(step::claim),
                                               claimed(idempo::completed{record(201)}, step::respond)},
                       replay),
        in_transaction("COMMIT refused, and the database is gone", store_500,
                       at_commit + std::vector{commit_refused(step::claim), claim_failed(failure, step::respond)},
                       unavailable),
        in_transaction("overtaken", by_default, at_commit + std::vector{completed(idempo::completed{record(200)})},
                       replay, true),
        in_transaction("no connection: nothing is to be given up", by_default,
                       at_claim + std::vector{claim_failed(failure, step::respond)}, unavailable),
        in_transaction("no thread", by_default, at_claim + std::vector{overloaded}, unavailable),
    };
}

std::vector<row> in_a_transaction_without_a_key() {
    using idempo::execution;
    auto const keep = &execution::keep;
    auto const unavailable = refused(refusal::store_unavailable, 503);
    move const passed{[](exchange& tested) { return tested.pass(); }, step::open};
    auto const opened = [](idempo::error_code error, step next) {
        return move{[=](exchange& tested) { return tested.opened(error); }, next};
    };
    std::vector<move> const running{passed, opened({}, step::run)};
    auto const at_commit = running + std::vector{ran(201, step::commit)};
    move const unreadable{[](exchange& tested) { return tested.ran_unreadably(nullptr); }, step::abandon};
    return {
        in_transaction("committed", by_default, at_commit + std::vector{completed()}, own_answer, true),
        in_transaction("rolled back", by_default, running + std::vector{ran(400, step::abandon), abandoned()},
                       own_answer),
        in_transaction("thrown", by_default, running + std::vector{threw(step::abandon), abandoned()}, own_exception),
        in_transaction("thrown, and the handler says keep", by_default,
                       running + std::vector{says(keep, threw(step::commit)), completed()}, own_exception, true),
        in_transaction("an answer that cannot be read", by_default, running + std::vector{unreadable, abandoned()},
                       own_answer),
        in_transaction("undone by the database", by_default, running + std::vector{undone(step::abandon), abandoned()},
                       unavailable),
        in_transaction("undone at COMMIT", by_default, at_commit + std::vector{complete_failed(step::respond)},
                       unavailable, true),
        in_transaction("COMMIT in doubt: no invitation to try again", by_default, at_commit + std::vector{in_doubt},
                       own_exception, true),
        in_transaction("COMMIT refused", by_default,
                       at_commit + std::vector{commit_refused(step::abandon), abandoned()}, own_exception),
        in_transaction("no connection", by_default, {passed, opened(failure, step::respond)}, unavailable),
        in_transaction("no thread", by_default, {passed, overloaded}, unavailable),
    };
}

void check(row const& row, idempo::options const& options, exchange& tested) {
    step next = step::identify;
    for (auto const& move : row.moves) {
        REQUIRE(next != step::respond);
        next = move.report(tested);
        CHECK(next == move.next);
        if (next != move.next) return;
    }
    CHECK(next == step::respond);
    CHECK(tested.answer() == row.ends.from);
    CHECK(tested.keeps_rows() == row.rows);
    if (!row.ends.what) return;
    CHECK(tested.refusal().what == *row.ends.what);
    CHECK(idempo::problem_table()[*row.ends.what].status == row.ends.status);
    bool const may_be_known_soon = row.ends.what == refusal::outcome_unknown && options.reconcile;
    bool const may_come_again = row.ends.status == 503 || row.ends.what == refusal::in_flight || may_be_known_soon;
    CHECK((tested.refusal().retry_after >= 1s) == may_come_again);
}

void check_all(std::vector<row> const& rows) {
    for (auto const& row : rows) {
        CAPTURE(row.name);
        test_now = {};
        idempo::options options;
        row.choose(options);
        std::function<bool(unsigned)> const commit_if;
        std::optional<exchange> tested;
        if (row.claim == lifetime::transaction) {
            tested.emplace(options, commit_if, &now);
        } else {
            tested.emplace(options, row.claim, &now, row.renewable);
        }
        check(row, options, *tested);
    }
}

}  // namespace

TEST_CASE("exchange table: before the claim", "[exchange]") { check_all(before_the_claim()); }
TEST_CASE("exchange table: what a claim meets", "[exchange]") { check_all(at_the_claim()); }
TEST_CASE("exchange table: what becomes of the handler's answer", "[exchange]") { check_all(after_the_handler()); }
TEST_CASE("exchange table: in a transaction", "[exchange]") { check_all(in_a_transaction()); }
TEST_CASE("exchange table: in a transaction without a key", "[exchange]") {
    check_all(in_a_transaction_without_a_key());
}
