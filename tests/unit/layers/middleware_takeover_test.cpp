// SPDX-License-Identifier: MIT

// A claim that follows one whose lease has ended, with a manual clock.

#include "support/catch.hpp"
#include "support/charges.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace idempo::tests;
using namespace std::chrono_literals;

/// A first attempt that hangs at a gate while its lease ends; later ones pass.
struct abandoned_service {
    explicit abandoned_service(setup how, idempo::options options = {})
        : service(how, std::move(options), [this](text_request const&, idempo::execution& execution) {
              if (execution.attempt() <= 1 && !second_run.exchange(true)) at.pass();
              {
                  std::lock_guard const lock(mutex);
                  attempts.push_back(execution.attempt());
                  derived.push_back(execution.derived_key("charge"));
              }
              return charge(ledger, execution);
          }) {
        zombie = service.start(keyed_request());
        at.wait_for_arrivals();
        service.store_clock().advance(30s);
    }

    /// Lets the first attempt end.
    text_response end_zombie() {
        at.open();
        return answer_of(std::move(zombie));
    }

    effect_ledger ledger;
    gate at;
    std::atomic<bool> second_run{false};
    std::mutex mutex;
    std::vector<unsigned> attempts;
    std::vector<std::string> derived;
    idempo::tests::service service;
    std::future<text_response> zombie;
};

}  // namespace

TEST_CASE("middleware: after the lease the handler runs again and knows its attempt", "[middleware]") {
    auto const how = GENERATE(from_range(every_leased_setup()));
    INFO(how);
    abandoned_service tested(how);

    CHECK(tested.service.send(keyed_request()).body() == "charge 1");
    CHECK(tested.service.told(idempo::event_type::takeover) == 1);
    tested.end_zombie();
    CHECK(tested.attempts == std::vector<unsigned>{2, 1});
    CHECK(tested.derived[0] == tested.derived[1]);
}

TEST_CASE("middleware: a takeover needs the same request", "[middleware]") {
    auto const how = GENERATE(from_range(every_leased_setup()));
    INFO(how);
    abandoned_service tested(how);

    CHECK(tested.service.send(keyed_request("key-1", "other")).result_int() == 422);
    CHECK(tested.ledger.size() == 0);
    CHECK(tested.end_zombie().result_int() == 201);
}

TEST_CASE("middleware: a handler that outlived its lease completes if nobody took over", "[middleware]") {
    auto const how = GENERATE(from_range(every_leased_setup()));
    INFO(how);
    abandoned_service tested(how);

    CHECK(tested.end_zombie().body() == "charge 1");
    CHECK(is_replay(tested.service.send(keyed_request())));
}

TEST_CASE("middleware: a fenced zombie answers with its successor's stored response", "[middleware]") {
    auto const how = GENERATE(from_range(every_leased_setup()));
    INFO(how);
    abandoned_service tested(how);

    CHECK(tested.service.send(keyed_request()).body() == "charge 1");
    auto const answer = tested.end_zombie();
    CHECK(answer.body() == "charge 1");
    CHECK(is_replay(answer));
    CHECK(tested.ledger.size() == 2);
    CHECK(tested.service.told(idempo::event_type::fenced) == 1);
    CHECK(tested.service.send(keyed_request()).body() == "charge 1");
}

TEST_CASE("middleware: a fenced zombie whose successor still runs answers 409", "[middleware]") {
    auto const how = GENERATE(from_range(every_leased_setup()));
    INFO(how);
    effect_ledger ledger;
    gate first;
    gate second;
    service tested(how, {}, [&](text_request const&, idempo::execution& execution) {
        (execution.attempt() == 1 ? first : second).pass();
        return charge(ledger, execution);
    });
    auto zombie = tested.start(keyed_request());
    first.wait_for_arrivals();
    tested.store_clock().advance(30s);
    auto successor = tested.start(keyed_request());
    second.wait_for_arrivals();

    first.open();
    CHECK(answer_of(std::move(zombie)).result_int() == 409);
    second.open();
    CHECK(answer_of(std::move(successor)).body() == "charge 2");
    CHECK(tested.send(keyed_request()).body() == "charge 2");
    CHECK(tested.told(idempo::event_type::fenced) == 1);
}

TEST_CASE("middleware: a fenced zombie does not release its successor's claim", "[middleware]") {
    auto const how = GENERATE(from_range(every_leased_setup()));
    INFO(how);
    gate first;
    gate second;
    service tested(how, {}, [&](text_request const&, idempo::execution& execution) {
        (execution.attempt() == 1 ? first : second).pass();
        return answer_with(execution.attempt() == 1 ? 500 : 201);
    });
    auto zombie = tested.start(keyed_request());
    first.wait_for_arrivals();
    tested.store_clock().advance(30s);
    auto successor = tested.start(keyed_request());
    second.wait_for_arrivals();

    first.open();
    CHECK(answer_of(std::move(zombie)).result_int() == 500);
    CHECK(tested.send(keyed_request()).result_int() == 409);
    second.open();
    CHECK(answer_of(std::move(successor)).result_int() == 201);
}

TEST_CASE("middleware: exactly one rival takes over", "[middleware]") {
    auto const how = GENERATE(from_range(every_leased_setup()));
    INFO(how);
    abandoned_service tested(how);

    std::vector<std::future<text_response>> rivals;
    for (int rival = 0; rival < 20; ++rival) rivals.push_back(tested.service.start(keyed_request()));
    for (auto& rival : rivals) {
        auto const answer = answer_of(std::move(rival));
        CHECK((answer.result_int() == 409 || answer.body() == "charge 1"));
    }
    CHECK(tested.ledger.size() == 1);
    tested.end_zombie();
}

TEST_CASE("middleware: on_takeover::hold answers 409 until the record expires", "[middleware]") {
    auto const how = GENERATE(from_range(every_leased_setup()));
    INFO(how);
    idempo::options options;
    options.on_takeover = idempo::on_takeover::hold;
    options.retention = 1h;
    abandoned_service tested(how, options);

    auto const held = tested.service.send(keyed_request());
    CHECK(held.result_int() == 409);
    CHECK(held.body().find("The outcome of this request is unknown") != std::string::npos);
    CHECK(held.body().find("urn:idempo:problem:outcome-unknown") != std::string::npos);
    tested.service.store_clock().advance(1h - 1ms);
    CHECK(tested.service.send(keyed_request()).result_int() == 409);
    tested.service.store_clock().advance(1ms);
    CHECK(tested.service.send(keyed_request()).body() == "charge 1");
    tested.end_zombie();
}

TEST_CASE("middleware: a held zombie may still complete", "[middleware]") {
    auto const how = GENERATE(from_range(every_leased_setup()));
    INFO(how);
    idempo::options options;
    options.on_takeover = idempo::on_takeover::hold;
    abandoned_service tested(how, options);

    CHECK(tested.service.send(keyed_request()).result_int() == 409);
    CHECK(tested.end_zombie().body() == "charge 1");
    CHECK(is_replay(tested.service.send(keyed_request())));
}

TEST_CASE("middleware: reconcile decides what became of the earlier attempt", "[middleware]") {
    auto const how = GENERATE(from_range(every_leased_setup()));
    INFO(how);
    idempo::options options;
    options.on_takeover = idempo::on_takeover::reconcile;
    std::mutex mutex;
    std::vector<std::string> asked;
    idempo::reconciliation verdict = idempo::run_again{};
    options.reconcile = [&](idempo::execution const& execution) {
        std::lock_guard const lock(mutex);
        CHECK(execution.keyed());
        CHECK(execution.attempt() == 1);
        asked.push_back(execution.derived_key("charge"));
        return verdict;
    };

    SECTION("it runs again") {
        abandoned_service tested(how, options);
        CHECK(tested.service.send(keyed_request()).body() == "charge 1");
        tested.end_zombie();
        CHECK(tested.attempts == std::vector<unsigned>{2, 1});
        CHECK(asked == std::vector<std::string>{tested.derived[1]});
    }
    SECTION("it holds") {
        verdict = idempo::hold_claim{};
        abandoned_service tested(how, options);
        CHECK(tested.service.send(keyed_request()).result_int() == 409);
        CHECK(tested.service.send(keyed_request()).result_int() == 409);
        CHECK(asked.size() == 2);
        tested.end_zombie();
    }
    SECTION("it knows the response") {
        verdict = answer_with(201, "found");
        abandoned_service tested(how, options);
        CHECK(tested.service.send(keyed_request()).body() == "found");
        CHECK(tested.service.send(keyed_request()).body() == "found");
        CHECK(tested.end_zombie().body() == "found");
        CHECK(asked.size() == 1);
        CHECK(tested.ledger.size() == 1);  // the zombie's own
    }
}

TEST_CASE("middleware: a reconcile that outlasts its lease runs nothing beside its successor", "[middleware]") {
    auto const how = GENERATE(from_range(every_leased_setup()));
    INFO(how);
    idempo::options options;
    options.on_takeover = idempo::on_takeover::reconcile;
    options.lease = 200ms;
    options.heartbeat = false;
    std::atomic<int> asked = 0;
    std::function<void()> while_first_asks;
    options.reconcile = [&](idempo::execution const&) {
        if (++asked == 1) while_first_asks();
        return idempo::run_again{};
    };
    abandoned_service tested(how, options);
    text_response successor;
    while_first_asks = [&] {
        tested.service.store_clock().advance(30s);
        successor = tested.service.send(keyed_request());
        std::this_thread::sleep_for(options.lease);  // the middleware reads the machine's clock
    };

    auto const answer = tested.service.send(keyed_request());
    CHECK(asked == 2);
    CHECK(successor.body() == "charge 1");
    CHECK(answer.body() == "charge 1");
    CHECK(is_replay(answer));
    CHECK(tested.ledger.size() == 1);
    tested.end_zombie();
}

TEST_CASE("middleware: a reconcile that throws holds the claim", "[middleware]") {
    auto const how = GENERATE(from_range(every_leased_setup()));
    INFO(how);
    idempo::options options;
    options.on_takeover = idempo::on_takeover::reconcile;
    options.reconcile = [](idempo::execution const&) -> idempo::reconciliation { throw std::runtime_error(""); };
    abandoned_service tested(how, options);

    CHECK(tested.service.send(keyed_request()).result_int() == 409);
    CHECK(tested.ledger.size() == 0);
    CHECK(tested.service.told(idempo::event_type::handler_threw) == 1);
    tested.end_zombie();
}

TEST_CASE("middleware: a reconciled response that cannot be stored reaches the client", "[middleware]") {
    auto const how = GENERATE(from_range(every_leased_setup()));
    INFO(how);
    idempo::options options;
    options.on_takeover = idempo::on_takeover::reconcile;
    options.persist_timeout = 0ms;
    options.reconcile = [](idempo::execution const&) { return answer_with(201, "found"); };
    abandoned_service tested(how, options);
    tested.service.store_faults().use(every(store_call::complete, fault::fails_before));

    CHECK(tested.service.send(keyed_request()).body() == "found");
    CHECK(tested.service.told(idempo::event_type::not_persisted) == 1);
    tested.service.store_faults().heal();
    tested.end_zombie();
}

TEST_CASE("middleware: an execution without a key is not keyed", "[middleware]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    service tested(how, {}, [](text_request const& request, idempo::execution& execution) {
        bool const keyed = request.count("Idempotency-Key") != 0;
        bool const right = execution.keyed() == keyed && execution.attempt() == (keyed ? 1 : 0) &&
                           execution.key() == (keyed ? "a\"b" : "") && !execution.lost();
        return answer_with(right ? 200 : 500);
    });

    CHECK(tested.send(unkeyed_request()).result_int() == 200);
    CHECK(tested.send(keyed_request(R"("a\"b")")).result_int() == 200);
}

TEST_CASE("middleware: derived keys differ from label to label and from key to key", "[middleware]") {
    auto const how = GENERATE(from_range(every_style()));
    INFO(how);
    service tested(how, {}, [](text_request const&, idempo::execution& execution) {
        return answer_with(200, execution.derived_key("charge") + execution.derived_key("mail"));
    });

    auto const first = tested.send(keyed_request("a")).body();
    auto const second = tested.send(keyed_request("b")).body();
    CHECK(first.substr(0, 64) != first.substr(64));
    CHECK(first.substr(0, 64) != second.substr(0, 64));
    CHECK(tested.send(unkeyed_request()).result_int() == 500);  // derived_key throws without a key
}
