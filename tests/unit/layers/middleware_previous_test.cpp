// SPDX-License-Identifier: MIT

// A change of what belongs to a record's identity, in a deploy: one effect, in every style over every kind of store.

#include <idempo/layers/idempotency.hpp>
#include <idempo/stores/any_store.hpp>
#include <idempo/stores/memory_store.hpp>
#include <idempo/stores/sealed.hpp>

#include "support/catch.hpp"
#include "support/charges.hpp"
#include "support/poll_until.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace idempo::tests;
using idempo::digest_keys;
using idempo::event_type;
using idempo::options;
using idempo::previous_identity;

constexpr std::string_view first_secret = "the first secret of this service";
constexpr std::string_view second_secret = "its second one, after the spring";

std::optional<std::string> bearer(idempo::request_head const& head) { return std::string(head.field("Authorization")); }

/// What a deploy changes, and what the new release says of the old one.
struct change {
    std::string name;
    std::function<void(options&)> before;
    std::function<void(options&)> after;
};

std::vector<change> changes() {
    return {{"the scope", [](options&) {},
             [](options& now) {
                 now.scope = idempo::scope::principal(bearer);
                 now.previous = {{.scope = idempo::scope::credential_bound()}};
             }},
            {"the scope, with equal store keys", [](options&) {},
             [](options& now) {
                 now.scope = idempo::scope::single_tenant();
                 now.previous = {{.scope = idempo::scope::credential_bound()}};
             }},
            {"the namespace", [](options& then) { then.key_namespace = "charges"; },
             [](options& now) {
                 now.key_namespace = "payments";
                 now.previous = {{.key_namespace = "refunds"}, {.key_namespace = "charges"}};
             }},
            {"keys of each endpoint", [](options&) {},
             [](options& now) {
                 now.per_endpoint = true;
                 now.previous = {{.per_endpoint = false}};
             }},
            {"the first secret", [](options&) {},
             [](options& now) {
                 now.digest_keys = {first_secret};
                 now.previous = {{.digest_keys = digest_keys::none()}};
             }},
            {"another secret", [](options& then) { then.digest_keys = {first_secret}; },
             [](options& now) {
                 now.digest_keys = {second_secret, first_secret};
             }},
            {"the scope and the secret", [](options& then) { then.digest_keys = {first_secret}; },
             [](options& now) {
                 now.digest_keys = {second_secret, first_secret};
                 now.scope = idempo::scope::principal(bearer);
                 now.previous = {{.scope = idempo::scope::credential_bound()}};
             }},
            {"the scope, the secret and the rule", [](options& then) { then.digest_keys = {first_secret}; },
             [](options& now) {
                 now.digest_keys = {second_secret, first_secret};
                 now.scope = idempo::scope::principal(bearer);
                 now.previous = {{.scope = idempo::scope::credential_bound()}};
                 now.previous_rules = {now.same_request};
                 now.same_request.body = idempo::body_rule::exact();
             }}};
}

text_request request_of(std::string_view key = "key-1", std::string_view body = R"({"amount":42})") {
    auto request = keyed_request(key, body);
    request.set(http::field::authorization, "Bearer alice");
    return request;
}

options before(change const& made) {
    options then;
    made.before(then);
    return then;
}

options after(change const& made) {
    options now;
    made.after(now);
    return now;
}

/// What the old release does with a request.
text_response send_to_old(service& tested, options const& then, handler_function const& work,
                          text_request request = request_of()) {
    auto const handle = idempo::idempotency(tested.records(), then) |
                        [&](text_request&& asked, idempo::execution& execution) { return work(asked, execution); };
    return handle(std::move(request));
}

/// In every style, `check(how, made)`.
template <class Check>
void for_each_change(Check check) {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    for (auto const& made : changes()) {
        INFO(made.name);
        check(how, made);
    }
}

}  // namespace

TEST_CASE("previous: a retry over the change gets its answer, and there is one charge", "[previous]") {
    for_each_change([](auto const& how, change const& made) {
        effect_ledger ledger;
        service tested(how, after(made), charging(ledger));
        CHECK(send_to_old(tested, before(made), charging(ledger)).body() == "charge 1");
        for (int retry = 0; retry < 2; ++retry) {
            auto const answer = tested.send(request_of());
            CHECK(answer.body() == "charge 1");
            CHECK(is_replay(answer));
        }
        CHECK(tested.send(request_of("key-2")).body() == "charge 2");
        CHECK(is_replay(tested.send(request_of("key-2"))));
        CHECK(ledger.count("key-1") == 1);
        CHECK(ledger.count("key-2") == 1);
    });
}

TEST_CASE("previous: a key that has expired under the old identity is 410, in every style", "[previous]") {
    for_each_change([](auto const& how, change const& made) {
        effect_ledger ledger;
        auto then = before(made);
        auto now = after(made);
        then.remember_expired = now.remember_expired = 10 * now.retention;
        service tested(how, now, charging(ledger));
        CHECK(send_to_old(tested, then, charging(ledger)).body() == "charge 1");
        tested.store_clock().advance(now.retention + 1ms);
        for (int retry = 0; retry < 2; ++retry) CHECK(tested.send(request_of()).result_int() == 410);
        CHECK(tested.told(event_type::key_expired) == 2);
        bool const has_another_key = made.name != "the scope, with equal store keys";
        CHECK(tested.told(event_type::other_identity) == (has_another_key ? 2 : 0));
        CHECK(ledger.count("key-1") == 1);
        tested.store_clock().advance(now.remember_expired);
        CHECK(tested.send(request_of()).body() == "charge 2");
    });
}

TEST_CASE("previous: a mark under the old identity hides no record, and counts only where marks are asked for",
          "[previous]") {
    for_each_change([](auto const& how, change const& made) {
        effect_ledger ledger;
        auto then = before(made);
        auto now = after(made);
        then.remember_expired = 10 * now.retention;
        service tested(how, now, charging(ledger));
        CHECK(send_to_old(tested, then, charging(ledger)).body() == "charge 1");
        tested.store_clock().advance(now.retention + 1ms);
        CHECK(tested.send(request_of()).body() == "charge 2");  // nobody has asked for marks

        now.remember_expired = 10 * now.retention;
        auto const handle =
            idempo::idempotency(tested.records(), now) | [](text_request const&) { return answer_with(500); };
        auto const answer = handle(request_of());
        CHECK(answer.body() == "charge 2");
    });
}

TEST_CASE("previous: without it, the same change charges again", "[previous]") {
    effect_ledger ledger;
    options now;
    now.digest_keys = {first_secret};
    service tested({}, now, charging(ledger));
    CHECK(send_to_old(tested, {}, charging(ledger)).body() == "charge 1");
    CHECK(tested.send(request_of()).body() == "charge 2");
}

TEST_CASE("previous: another request with the key is 422", "[previous]") {
    for_each_change([](auto const& how, change const& made) {
        effect_ledger ledger;
        service tested(how, after(made), charging(ledger));
        send_to_old(tested, before(made), charging(ledger));
        CHECK(tested.send(request_of("key-1", "another")).result_int() == 422);
        CHECK(ledger.count("key-1") == 1);
    });
}

TEST_CASE("previous: while the old release runs the request, a retry is 409", "[previous]") {
    for_each_change([](auto const& how, change const& made) {
        effect_ledger ledger;
        service tested(how, after(made), charging(ledger));
        auto const work = [&](text_request const&, idempo::execution& execution) {
            CHECK(tested.send(request_of()).result_int() == 409);
            return charge(ledger, execution);
        };
        CHECK(send_to_old(tested, before(made), work).body() == "charge 1");
        CHECK(tested.send(request_of()).body() == "charge 1");
    });
}

TEST_CASE("previous: who waits gets the answer of the old release", "[previous]") {
    for_each_change([](auto const& how, change const& made) {
        effect_ledger ledger;
        auto now = after(made);
        now.wait = 60s;
        service tested(how, now, charging(ledger));
        std::future<text_response> waiting;
        auto const work = [&](text_request const&, idempo::execution& execution) {
            waiting = tested.start(request_of());
            poll_until([&] { return tested.store_faults().calls(store_call::claim) > 0; });
            return charge(ledger, execution);
        };
        CHECK(send_to_old(tested, before(made), work).body() == "charge 1");
        auto const answer = answer_of(std::move(waiting));
        CHECK(answer.body() == "charge 1");
        CHECK(is_replay(answer));
    });
}

TEST_CASE("previous: a takeover asks the bank with the key of the first attempt", "[previous]") {
    for_each_change([](auto const& how, change const& made) {
        std::vector<std::string> derived;
        auto const work = [&](text_request const&, idempo::execution& execution) -> text_response {
            derived.push_back(execution.derived_key("charge"));
            if (execution.attempt() == 1) throw std::runtime_error("gone");
            return answer_with(201);
        };
        service tested(how, after(made), work);
        auto then = before(made);
        then.on_throw = idempo::on_throw::hold;
        CHECK_THROWS(send_to_old(tested, then, work));
        CHECK(tested.send(request_of()).result_int() == 409);
        tested.store_clock().advance(then.lease + 1ms);
        CHECK(tested.send(request_of()).result_int() == 201);
        REQUIRE(derived.size() == 2);
        CHECK(derived[0] == derived[1]);
        CHECK(is_replay(tested.send(request_of())));
    });
}

TEST_CASE("previous: what the old release has released or forgotten runs under the new identity", "[previous]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    auto const made = changes()[5];
    effect_ledger ledger;
    service tested(how, after(made), charging(ledger));
    auto const released = [](text_request const&, idempo::execution&) { return answer_with(503); };
    send_to_old(tested, before(made), released);
    CHECK(tested.send(request_of()).body() == "charge 1");

    send_to_old(tested, before(made), charging(ledger), request_of("key-2"));
    tested.store_clock().advance(options().retention + 1ms);
    CHECK(tested.send(request_of("key-2")).body() == "charge 3");
    CHECK(tested.told(event_type::other_identity) == 0);
}

TEST_CASE("previous: a record that expires between look and claim is run once", "[previous]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    auto const made = changes()[5];
    effect_ledger ledger;
    service tested(how, after(made), charging(ledger));
    send_to_old(tested, before(made), charging(ledger));
    bool is_first = true;
    tested.store_faults().use([&](store_call call, std::size_t) {
        if (call == store_call::claim && std::exchange(is_first, false)) {
            tested.store_clock().advance(options().retention + 1ms);
        }
        return fault::none;
    });
    CHECK(tested.send(request_of()).body() == "charge 2");
    CHECK(tested.told(event_type::other_identity) == 1);
    CHECK(is_replay(tested.send(request_of())));
    CHECK(tested.told(event_type::other_identity) == 1);
}

TEST_CASE("previous: a store that cannot be asked is no store: 503, and nothing runs", "[previous]") {
    auto const how = GENERATE(from_range(every_setup()));
    auto const nth = GENERATE(0, 1);
    INFO(how << ", look " << nth);
    effect_ledger ledger;
    service tested(how, after(changes()[5]), charging(ledger));
    int looks = 0;
    tested.store_faults().use([&](store_call call, std::size_t) {
        return call == store_call::peek && looks++ == nth ? fault::fails_before : fault::none;
    });
    CHECK(tested.send(request_of()).result_int() == 503);
    CHECK(ledger.count("key-1") == 0);
    CHECK(tested.send(request_of()).body() == "charge 1");
}

TEST_CASE("previous: in guard mode a key that was used before the change is a duplicate", "[previous]") {
    for_each_change([](auto const& how, change const& made) {
        effect_ledger ledger;
        auto then = before(made);
        auto now = after(made);
        then.on_duplicate = now.on_duplicate = idempo::on_duplicate::reject;
        service tested(how, now, charging(ledger));
        send_to_old(tested, then, charging(ledger));
        CHECK(tested.send(request_of()).result_int() == 409);
        CHECK(tested.send(request_of("key-2")).result_int() == 201);
        CHECK(tested.send(request_of("key-2")).result_int() == 409);
        CHECK(ledger.count("key-1") == 1);
    });
}

TEST_CASE("previous: two releases that know each other's identity charge once, whoever is asked first", "[previous]") {
    auto const seed = std::random_device()();
    INFO("seed " << seed);
    std::minstd_rand random(seed);
    idempo::memory_store records;
    effect_ledger ledger;
    std::atomic<int> met{0};
    auto const released = [&](digest_keys keys) {
        options options;
        options.digest_keys = std::move(keys);
        options.observer = [&met](idempo::event const& event) {
            met += event.type == event_type::other_identity || event.type == event_type::in_flight ? 1 : 0;
        };
        return idempo::idempotency(records, options) |
               [&](text_request&&, idempo::execution& execution) { return charge(ledger, execution); };
    };
    auto const step_1 = released({first_secret, second_secret});
    auto const step_2 = released({second_secret, first_secret});
    constexpr int keys = 300;
    std::vector<std::uint32_t> delays(keys * 2);
    for (auto& delay : delays) delay = static_cast<std::uint32_t>(random() % 200);
    std::atomic<int> other_statuses{0};
    std::atomic<int> round[2] = {0, 0};
    auto const client = [&](auto const& release, int place) {
        for (int key = 0; key < keys; ++key) {
            ++round[place];
            while (round[1 - place] < round[place]) std::this_thread::yield();
            for (auto spin = delays[static_cast<std::size_t>(2 * key + place)]; spin > 0; --spin) {
                std::atomic_signal_fence(std::memory_order_seq_cst);
            }
            auto status = release(request_of("key-" + std::to_string(key))).result_int();
            for (; status == 409; status = release(request_of("key-" + std::to_string(key))).result_int()) {
                std::this_thread::yield();
            }
            other_statuses += status == 201 ? 0 : 1;
        }
        round[place] = keys + 1;
    };
    std::thread other([&] { client(step_1, 0); });
    client(step_2, 1);
    other.join();
    for (int key = 0; key < keys; ++key) CHECK(ledger.count("key-" + std::to_string(key)) == 1);
    CHECK(met > 0);
    CHECK(other_statuses == 0);
}

TEST_CASE("previous: a sealed store opens what was sealed under the old identity", "[previous]") {
    auto const made = changes()[6];
    idempo::seal_options seal;
    seal.keys = {{1, std::string(32, 's')}};
    auto const store = idempo::sealed(idempo::memory_store(), seal);
    effect_ledger ledger;
    auto const sent = [&](options const& chosen) {
        auto const handle = idempo::idempotency(store, chosen) |
                            [&](text_request&&, idempo::execution& execution) { return charge(ledger, execution); };
        return handle(request_of());
    };
    CHECK(sent(before(made)).body() == "charge 1");
    auto const again = sent(after(made));
    CHECK(again.body() == "charge 1");
    CHECK(is_replay(again));
}

namespace {

/// Can only claim, complete and abandon.
class store_without_peek {
public:
    idempo::claim_result claim(idempo::claim_request const& request, idempo::error_code& error) {
        return records_.claim(request, error);
    }
    idempo::complete_result complete(idempo::complete_request const& request, idempo::error_code& error) {
        return records_.complete(request, error);
    }
    void abandon(idempo::store_key const& key, idempo::fencing_token const& by, idempo::error_code& error) {
        records_.abandon(key, by, error);
    }

private:
    idempo::memory_store records_;
};

}  // namespace

TEST_CASE("previous: a store without peek is refused where it is needed", "[previous]") {
    auto const work = [](text_request&&) { return answer_with(200); };
    options now;
    CHECK_NOTHROW(idempo::idempotency(store_without_peek(), now) | work);
    now.digest_keys = {first_secret};
    CHECK_NOTHROW(idempo::idempotency(store_without_peek(), now) | work);
    now.digest_keys = {second_secret, first_secret};
    CHECK_THROWS_AS(idempo::idempotency(store_without_peek(), now) | work, std::invalid_argument);
    CHECK_NOTHROW(idempo::idempotency(idempo::memory_store(), now) | work);
    options other;
    other.previous = {{.key_namespace = "old"}};
    CHECK_THROWS_AS(idempo::idempotency(store_without_peek(), other) | work, std::invalid_argument);
}
