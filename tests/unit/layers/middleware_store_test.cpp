// SPDX-License-Identifier: MIT

// The middleware and its store: expiry, a custom store, and a store that is down.

#include "support/catch.hpp"
#include "support/charges.hpp"

#include <idempo/layers/idempotency.hpp>

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace {

using namespace idempo::tests;
using namespace std::chrono_literals;

/// What a user might write: a map under a mutex, three operations, no clock and no Renew.
class map_store {
public:
    idempo::claim_result claim(idempo::claim_request const& request, idempo::error_code& error) {
        error.clear();
        std::lock_guard const lock(shared_->mutex);
        auto const [at, is_new] =
            shared_->records.try_emplace(request.key, record{request.fingerprint, request.fencing_token});
        auto const& found = at->second;
        if (found.fingerprint != request.fingerprint) return idempo::mismatch{};
        if (found.bytes) return idempo::completed{*found.bytes};
        if (is_new || found.by == request.fencing_token) return idempo::granted{};
        return idempo::in_flight{1s};
    }

    idempo::complete_result complete(idempo::complete_request const& request, idempo::error_code& error) {
        error.clear();
        std::lock_guard const lock(shared_->mutex);
        auto const [at, is_new] =
            shared_->records.try_emplace(request.key, record{request.fingerprint, request.fencing_token});
        auto& found = at->second;
        if (found.fingerprint != request.fingerprint) return idempo::mismatch{};
        if (found.by != request.fencing_token && found.bytes) return idempo::completed{*found.bytes};
        if (found.by != request.fencing_token) return idempo::in_flight{1s};
        if (!found.bytes) found.bytes = request.record;
        return idempo::done{};
    }

    void abandon(idempo::store_key const& key, idempo::fencing_token const& by, idempo::error_code& error) {
        error.clear();
        std::lock_guard const lock(shared_->mutex);
        auto const at = shared_->records.find(key);
        if (at != shared_->records.end() && at->second.by == by && !at->second.bytes) shared_->records.erase(at);
    }

private:
    struct record {
        idempo::fingerprint fingerprint;
        idempo::fencing_token by;
        std::optional<idempo::shared_bytes> bytes{};
    };
    struct shared {
        std::mutex mutex;
        std::map<idempo::store_key, record> records;
    };
    std::shared_ptr<shared> shared_ = std::make_shared<shared>();
};

static_assert(idempo::store<map_store>);
static_assert(!idempo::renewable_store<map_store>);
static_assert(!idempo::nonblocking_store<map_store>);

idempo::options impatient() {
    idempo::options options;
    options.persist_timeout = 0ms;
    return options;
}

}  // namespace

TEST_CASE("middleware: custom store", "[middleware]") {
    int runs = 0;
    auto const charge =
        idempo::idempotency(map_store()) | [&](text_request const&) { return answer_with(++runs == 2 ? 500 : 201); };

    CHECK_FALSE(is_replay(charge(keyed_request("a"))));
    CHECK(is_replay(charge(keyed_request("a"))));
    CHECK(charge(keyed_request("a", "other")).result_int() == 422);
    CHECK(charge(keyed_request("b")).result_int() == 500);
    CHECK(charge(keyed_request("b")).result_int() == 201);
    CHECK(runs == 3);
}

TEST_CASE("middleware: expiry: after the retention a retry is a new request", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    idempo::options options;
    options.retention = 1h;
    effect_ledger ledger;
    service tested(how, options, charging(ledger));

    tested.send(keyed_request());
    tested.store_clock().advance(1h - 1ms);
    CHECK(tested.send(keyed_request()).body() == "charge 1");
    tested.store_clock().advance(1ms);
    CHECK(tested.send(keyed_request("key-1", "another body")).body() == "charge 2");
}

TEST_CASE("middleware: 50 simultaneous: one runs, the others are told or get its answer", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    effect_ledger ledger;
    service tested(how, {}, charging(ledger));

    std::vector<std::future<text_response>> pending;
    for (int request = 0; request < 50; ++request) pending.push_back(tested.start(keyed_request()));
    int first = 0;
    int told = 0;
    for (auto& each : pending) {
        auto const answer = answer_of(std::move(each));
        told += answer.result_int() == 409 || is_replay(answer) ? 1 : 0;
        first += answer.result_int() == 201 && !is_replay(answer) ? 1 : 0;
    }
    CHECK(first == 1);
    CHECK(told == 49);
    CHECK(ledger.size() == 1);
}

TEST_CASE("middleware: store down at claim: 503, the handler does not run, and a retry does", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    effect_ledger ledger;
    idempo::options options;
    options.retry_after = 7s;
    service tested(how, options, charging(ledger));
    tested.store_faults().use(every(store_call::claim, fault::fails_before));

    auto const refused = tested.send(keyed_request());
    CHECK(refused.result_int() == 503);
    CHECK(refused[http::field::retry_after] == "7");
    CHECK(refused.body().find("Idempotency store is unavailable") != std::string::npos);
    CHECK(refused.body().find("urn:idempo:problem:store-unavailable") != std::string::npos);
    CHECK(ledger.size() == 0);
    CHECK(tested.told(idempo::event_type::store_error) == 1);
    CHECK(tested.send(unkeyed_request()).result_int() == 201);

    tested.store_faults().heal();
    CHECK(tested.send(keyed_request()).result_int() == 201);
    CHECK(ledger.count("key-1") == 1);
}

TEST_CASE("middleware: store down after the handler: the client has its answer, a retry waits for the lease",
          "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    effect_ledger ledger;
    service tested(how, impatient(), charging(ledger));
    tested.store_faults().use(every(store_call::complete, fault::fails_before));

    CHECK(tested.send(keyed_request()).body() == "charge 1");
    CHECK(tested.told(idempo::event_type::not_persisted) == 1);
    CHECK(tested.store_faults().calls(store_call::abandon) == 0);

    tested.store_faults().heal();
    CHECK(tested.send(keyed_request()).result_int() == 409);
    tested.store_clock().advance(30s);
    CHECK(tested.send(keyed_request()).body() == "charge 2");  // the duplicate that the guarantees page admits
    CHECK(tested.told(idempo::event_type::takeover) == 1);
}

TEST_CASE("middleware: storing is tried again until it succeeds", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    effect_ledger ledger;
    service tested(how, {}, charging(ledger));
    tested.store_faults().use(next(store_call::complete, fault::fails_before, 3));

    CHECK(tested.send(keyed_request()).body() == "charge 1");
    CHECK(tested.store_faults().calls(store_call::complete) == 4);
    CHECK(is_replay(tested.send(keyed_request())));
    CHECK(tested.told(idempo::event_type::not_persisted) == 0);
    CHECK(tested.told(idempo::event_type::executed) == 1);
}

TEST_CASE("middleware: run_unprotected runs the handler without a claim while the store is down", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    idempo::options options;
    options.on_store_error = idempo::on_store_error::run_unprotected;
    bool keyed = true;
    std::string derived;
    service tested(how, options, [&](text_request const&, idempo::execution& execution) {
        keyed = execution.keyed();
        derived = execution.derived_key("charge");
        return answer_with(201);
    });
    tested.store_faults().use(every(store_call::claim, fault::fails_before));

    CHECK(tested.send(keyed_request()).result_int() == 201);
    CHECK_FALSE(keyed);
    CHECK(derived.size() == 64);
    CHECK(tested.told(idempo::event_type::unprotected) == 1);
    CHECK(tested.store_faults().calls(store_call::complete) == 0);

    tested.store_faults().heal();
    CHECK_FALSE(is_replay(tested.send(keyed_request())));
    CHECK(keyed);
}

TEST_CASE("middleware: a handler that throws while it runs unprotected", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    idempo::options options;
    options.on_store_error = idempo::on_store_error::run_unprotected;
    service tested(how, options,
                   [](text_request const&, idempo::execution&) -> text_response { throw std::runtime_error(""); });
    tested.store_faults().use(every(store_call::claim, fault::fails_before));

    CHECK(tested.send(keyed_request()).result_int() == 500);
    CHECK(tested.told(idempo::event_type::unprotected) == 1);
    CHECK(tested.told(idempo::event_type::handler_threw) == 1);
}

TEST_CASE("middleware: a claim that cannot be given up ends with its lease", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    int runs = 0;
    service tested(how, {},
                   [&](text_request const&, idempo::execution&) { return answer_with(++runs == 1 ? 500 : 201); });
    tested.store_faults().use(every(store_call::abandon, fault::fails_before));

    CHECK(tested.send(keyed_request()).result_int() == 500);
    CHECK(tested.told(idempo::event_type::held) == 1);
    CHECK(tested.send(keyed_request()).result_int() == 409);
    tested.store_clock().advance(30s);
    CHECK(tested.send(keyed_request()).result_int() == 201);
}

TEST_CASE("middleware: a full store refuses, and has room again when records expire", "[middleware]") {
    idempo::memory_store_options bounds;
    bounds.max_records = 1;
    manual_clock clock;
    bounds.clock = clock;
    effect_ledger ledger;
    auto const tested = idempo::idempotency(idempo::memory_store(bounds)) |
                        [&](text_request const&, idempo::execution& execution) { return charge(ledger, execution); };

    CHECK(tested(keyed_request("a")).result_int() == 201);
    CHECK(tested(keyed_request("b")).result_int() == 503);
    CHECK(is_replay(tested(keyed_request("a"))));
    clock.advance(24h);
    CHECK(tested(keyed_request("b")).result_int() == 201);
    CHECK(ledger.size() == 2);
}

TEST_CASE("middleware: a store without room for the response keeps a tombstone", "[middleware]") {
    idempo::memory_store_options bounds;
    bounds.max_bytes = idempo::memory_store::record_overhead + 100;
    auto const tested = idempo::idempotency(idempo::memory_store(bounds)) |
                        [](text_request const&) { return answer_with(201, std::string(1000, 'x')); };

    CHECK(tested(keyed_request()).body().size() == 1000);
    auto const again = tested(keyed_request());
    CHECK(again.result_int() == 409);
    CHECK(again.body().find("\"original_status\":201") != std::string::npos);
}

TEST_CASE("middleware: a flushed store takes the response of the running handler", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    effect_ledger ledger;
    gate at;
    service tested(how, {}, [&](text_request const&, idempo::execution& execution) {
        at.pass();
        return charge(ledger, execution);
    });
    auto first = tested.start(keyed_request());
    at.wait_for_arrivals();
    idempo::error_code error;
    CHECK(tested.records().forget(tested.events().front().key, error));

    at.open();
    CHECK(answer_of(std::move(first)).body() == "charge 1");
    CHECK(is_replay(tested.send(keyed_request())));
}

TEST_CASE("middleware: a record that cannot be read is a 500 and runs nothing", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    effect_ledger ledger;
    service tested(how, {}, charging(ledger));
    auto const damaged = [&] {  // by somebody who knows key and fingerprint
        idempo::options const options;
        auto const request = keyed_request();
        idempo::complete_request record;
        record.key = idempo::make_store_key("", "", "key-1");
        record.fingerprint = idempo::fingerprint_rule(options.same_request, options.scope.credential_fields())(request);
        record.record = idempo::shared_bytes(std::string_view("not a record"));
        record.retention = 1h;
        return record;
    }();
    idempo::error_code error;
    REQUIRE(std::holds_alternative<idempo::done>(tested.records().complete(damaged, error)));

    auto const refused = tested.send(keyed_request());
    CHECK(refused.result_int() == 500);
    CHECK(refused.body().find("urn:idempo:problem:record-unreadable") != std::string::npos);
    CHECK(ledger.size() == 0);
    CHECK(tested.told(idempo::event_type::record_unreadable) == 1);
}
