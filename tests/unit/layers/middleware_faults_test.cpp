// SPDX-License-Identifier: MIT

// Every call of the store fails before it applies, after it, late and twice, in every style. An effect ledger is
// counted at the end: it has nothing that would prevent a duplicate.

#include "support/catch.hpp"
#include "support/charges.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iterator>
#include <map>
#include <mutex>
#include <numeric>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace idempo::tests;
using namespace std::chrono_literals;
using idempo::event_type;

struct charging_service {
    explicit charging_service(setup how, idempo::options options = {})
        : service(how, std::move(options), charging(ledger)) {}

    text_response send() { return service.send(keyed_request()); }
    void use(fault_rule rule) { service.store_faults().use(std::move(rule)); }

    /// The first request is answered with a charge, a retry with the same, and there was one effect.
    void check_charged_once() {
        auto const first = send();
        CHECK(first.result_int() == 201);
        CHECK(first.body() == "charge 1");
        CHECK(send().body() == "charge 1");
        CHECK(ledger.size() == 1);
    }

    effect_ledger ledger;
    idempo::tests::service service;
};

/// Faults that end in an error for the caller of the store.
constexpr fault failing[] = {fault::fails_before, fault::loses_reply, fault::comes_late};

/// A client as it should be: it retries until it has an answer that is final.
class client {
public:
    client(service& server, std::atomic<int>& refused, std::atomic<int>& conflicts)
        : server_(server),
          refused_(refused),
          conflicts_(conflicts) {}

    text_response insist(std::string const& key) {
        for (int tries = 0; tries < 10'000; ++tries) {
            auto answer = server_.send(keyed_request(key));
            if (answer.result_int() == 201) return answer;
            ++(answer.result_int() == 503 ? refused_ : conflicts_);
            // Somebody holds the claim, or nobody any more: time must pass.
            if (answer.result_int() == 409 && tries % 4 == 3) server_.store_clock().advance(3s);
        }
        throw std::runtime_error("no final answer");
    }

private:
    service& server_;
    std::atomic<int>& refused_;
    std::atomic<int>& conflicts_;
};

/// What all campaigns of a test came to, so that it cannot pass by failing.
struct campaign_totals {
    int successes = 0;
    int replays = 0;
    int refused = 0;
    int conflicts = 0;
    int takeovers = 0;
    int fenced = 0;
};

/// What the clients of one campaign saw.
struct client_results {
    std::map<std::string, std::set<std::string>> answers;
    std::mutex mutex;
    std::atomic<int> successes{0};
    std::atomic<int> replays{0};
    std::atomic<int> refused{0};
    std::atomic<int> conflicts{0};
};

constexpr int client_count = 4;
constexpr int keys_in_campaign = 120;

/// The keys in an order of the client's own, but near to that of the others, so that clients meet.
std::vector<int> shuffled_keys(std::uint32_t seed) {
    constexpr int window = 8;
    std::vector<int> keys(keys_in_campaign);
    std::iota(keys.begin(), keys.end(), 0);
    std::mt19937 random(seed);
    for (auto at = keys.begin(); at != keys.end(); at += window) std::shuffle(at, at + window, random);
    return keys;
}

/// Each client wants each key charged.
void run_clients(service& server, std::uint32_t seed, client_results& results) {
    std::vector<std::thread> clients;
    for (std::uint32_t number = 0; number < client_count; ++number) {
        clients.emplace_back([&, number] {
            client insistent(server, results.refused, results.conflicts);
            for (int const key : shuffled_keys(seed + number)) {
                auto const name = "key-" + std::to_string(key);
                auto const answer = insistent.insist(name);
                ++(is_replay(answer) ? results.replays : results.successes);
                std::lock_guard const lock(results.mutex);
                results.answers[name].insert(answer.body());
            }
        });
    }
    for (auto& each : clients) each.join();
}

/// At most one effect for a key unless its record changed hands, and never two different answers.
void check_campaign(service& server, effect_ledger const& ledger, std::uint32_t seed, campaign_totals& totals) {
    client_results results;
    run_clients(server, seed, results);
    auto const taken_over = server.store_faults().taken_over();
    auto const effects = ledger.by_key();
    CHECK(effects.size() == keys_in_campaign);
    for (auto const& [key, count] : effects) {
        INFO(key << " with " << count << " effects");
        CHECK((count == 1 || taken_over.count(idempo::make_store_key("", "", key)) != 0));
        CHECK(results.answers[key].size() == 1);
    }
    CHECK(results.successes + results.replays == client_count * keys_in_campaign);
    CHECK(server.told(event_type::not_persisted) == 0);
    totals.successes += results.successes;
    totals.replays += results.replays;
    totals.refused += results.refused;
    totals.conflicts += results.conflicts;
    totals.takeovers += static_cast<int>(taken_over.size());
    totals.fenced += server.told(event_type::fenced);
}

}  // namespace

TEST_CASE("faults: a claim that fails is 503, and a retry runs: one effect", "[faults]") {
    auto const how = GENERATE(from_range(every_setup()));
    auto const what = GENERATE(fault::fails_before, fault::loses_reply);
    INFO(how << ", fault " << static_cast<int>(what));
    charging_service tested(how);
    tested.use(next(store_call::claim, what));

    auto const refused = tested.send();
    CHECK(refused.result_int() == 503);
    CHECK(refused.count(http::field::retry_after) == 1);
    CHECK(tested.ledger.size() == 0);
    tested.check_charged_once();
    CHECK(tested.service.store_faults().calls(store_call::abandon) == 1);
    CHECK(tested.service.told(event_type::takeover) == 0);
}

TEST_CASE("faults: a claim that comes after it was given up holds the key to the end of its lease", "[faults]") {
    auto const how = GENERATE(from_range(every_leased_setup()));
    INFO(how);
    charging_service tested(how);
    tested.use(next(store_call::claim, fault::comes_late));

    CHECK(tested.send().result_int() == 503);
    CHECK(tested.send().result_int() == 409);
    tested.service.store_clock().advance(30s);
    tested.check_charged_once();
    CHECK(tested.service.told(event_type::takeover) == 1);
}

TEST_CASE("faults: a claim whose reply is lost and that cannot be given up ends with its lease", "[faults]") {
    auto const how = GENERATE(from_range(every_leased_setup()));
    INFO(how);
    charging_service tested(how);
    tested.use([](store_call call, std::size_t nth) {
        if (nth > 1) return fault::none;
        return call == store_call::claim ? fault::loses_reply : fault::fails_before;
    });

    CHECK(tested.send().result_int() == 503);
    CHECK(tested.send().result_int() == 409);
    tested.service.store_clock().advance(30s);
    tested.check_charged_once();
}

TEST_CASE("faults: calls that are sent twice or slowly change nothing", "[faults]") {
    auto const how = GENERATE(from_range(every_setup()));
    auto const call = GENERATE(store_call::claim, store_call::complete);
    auto const what = GENERATE(fault::sent_twice, fault::is_slow);
    INFO(how << ", call " << static_cast<int>(call) << ", fault " << static_cast<int>(what));
    charging_service tested(how);
    tested.use(every(call, what));

    tested.check_charged_once();
    CHECK(tested.service.told(event_type::store_error) == 0);
    CHECK(tested.service.told(event_type::fenced) == 0);
}

TEST_CASE("faults: a response whose storing fails is stored by another try", "[faults]") {
    auto const how = GENERATE(from_range(every_setup()));
    auto const what = GENERATE(from_range(std::begin(failing), std::end(failing)));
    INFO(how << ", fault " << static_cast<int>(what));
    charging_service tested(how);
    tested.use(next(store_call::complete, what, 2));

    tested.check_charged_once();
    CHECK(tested.service.told(event_type::executed) == 1);
    CHECK(tested.service.told(event_type::store_error) == 2);
    CHECK(tested.service.store_faults().calls(store_call::abandon) == 0);
}

TEST_CASE("faults: storing that was applied and whose reply is lost for good still replays", "[faults]") {
    auto const how = GENERATE(from_range(every_setup()));
    INFO(how);
    idempo::options options;
    options.persist_timeout = 0ms;
    charging_service tested(how, options);
    tested.use(every(store_call::complete, fault::loses_reply));

    tested.check_charged_once();
    CHECK(tested.service.told(event_type::not_persisted) == 1);
    CHECK(tested.service.told(event_type::replayed) == 1);
}

TEST_CASE("faults: a release that fails leaves the key to the lease, one whose reply is lost does not", "[faults]") {
    auto const how = GENERATE(from_range(every_setup()));
    auto const what = GENERATE(fault::fails_before, fault::loses_reply, fault::comes_late, fault::sent_twice);
    INFO(how << ", fault " << static_cast<int>(what));
    effect_ledger ledger;
    std::atomic<int> runs{0};
    service tested(how, {}, [&](text_request const&, idempo::execution& execution) {
        return ++runs == 1 ? answer_with(503) : charge(ledger, execution);
    });
    tested.store_faults().use(next(store_call::abandon, what));

    CHECK(tested.send(keyed_request()).result_int() == 503);
    auto retry = tested.send(keyed_request());
    // The late release is applied by the next call: the claim of this retry, or the renewal of a claim without a lease.
    bool const held = what == fault::fails_before || (what == fault::comes_late && retry.result_int() == 409);
    CHECK(retry.result_int() == (held ? 409 : 201));
    if (held) tested.store_clock().advance(30s);
    CHECK(tested.send(keyed_request()).result_int() == 201);
    CHECK(ledger.size() == 1);
}

TEST_CASE("faults: whatever call fails, one request after another, there is one effect", "[faults]") {
    auto const how = GENERATE(from_range(every_setup()));
    auto const what = GENERATE(fault::fails_before, fault::loses_reply, fault::sent_twice, fault::is_slow);
    INFO(how << ", fault " << static_cast<int>(what));
    bool was_hit = true;
    for (std::size_t n = 0; was_hit; ++n) {
        INFO("call " << n);
        REQUIRE(n < 20);
        charging_service tested(how);
        tested.use(nth_call(n, what));
        for (int request = 0; request < 3; ++request) {
            auto const answer = tested.send();
            CHECK((answer.body() == "charge 1" || answer.result_int() == 503));
        }
        was_hit = tested.service.store_faults().count(what) != 0;
        tested.service.store_faults().heal();
        tested.check_charged_once();
        CHECK(tested.service.told(event_type::not_persisted) == 0);
    }
}

TEST_CASE("faults: whatever call fails of a request that takes over, the zombie gets its successor's answer",
          "[faults]") {
    auto const how = GENERATE(from_range(every_leased_setup()));
    auto const what = GENERATE(fault::fails_before, fault::loses_reply, fault::sent_twice);
    INFO(how << ", fault " << static_cast<int>(what));
    bool was_hit = true;
    for (std::size_t n = 0; was_hit; ++n) {
        INFO("call " << n);
        REQUIRE(n < 20);
        effect_ledger ledger;
        gate at;
        std::atomic<bool> is_first{true};
        service tested(how, {}, [&](text_request const&, idempo::execution& execution) {
            if (is_first.exchange(false)) at.pass();
            return charge(ledger, execution);
        });
        auto zombie = tested.start(keyed_request());
        at.wait_for_arrivals();
        tested.store_clock().advance(30s);
        tested.store_faults().use(nth_call(n, what));
        auto successor = tested.send(keyed_request());
        if (successor.result_int() == 503) successor = tested.send(keyed_request());
        at.open();
        CHECK(successor.result_int() == 201);
        CHECK(answer_of(std::move(zombie)).body() == successor.body());
        was_hit = tested.store_faults().count(what) != 0;
        tested.store_faults().heal();
        CHECK(tested.send(keyed_request()).body() == successor.body());
        CHECK(ledger.size() == 2);
        CHECK(tested.told(event_type::fenced) == 1);
    }
}

TEST_CASE("faults: a takeover whose claim loses its reply is reconciled again, not run", "[faults]") {
    auto const how = GENERATE(from_range(every_leased_setup()));
    INFO(how);
    idempo::options options;
    options.on_takeover = idempo::on_takeover::reconcile;
    options.reconcile = [](idempo::execution const&) { return answer_with(201, "found"); };
    options.persist_timeout = 0ms;
    charging_service tested(how, options);
    tested.use(every(store_call::complete, fault::fails_before));
    CHECK(tested.send().body() == "charge 1");
    tested.service.store_clock().advance(30s);

    // The first claim asks and is told that the lease has ended; the second takes over.
    tested.use([](store_call, std::size_t nth) { return nth == 1 ? fault::loses_reply : fault::none; });
    CHECK(tested.send().result_int() == 503);
    // It was given up, which leaves the earlier attempt behind: that is asked about at once.
    CHECK(tested.send().body() == "found");
    CHECK(tested.ledger.size() == 1);
}

TEST_CASE("faults: campaigns of random faults and insisting clients", "[faults][campaign]") {
    campaign_totals totals;
    for (auto const how : every_leased_setup()) {
        for (double const share : {0.1, 0.2}) {
            auto const seed = std::random_device()();
            INFO(how << ", share " << share << ", seed " << seed);
            effect_ledger ledger;
            service tested(how, {}, [&](text_request const&, idempo::execution& execution) {
                std::this_thread::sleep_for(100us);  // time for others to come
                return charge(ledger, execution);
            });
            tested.store_faults().slowness(31s);
            tested.store_faults().use(at_random(
                seed, share,
                {fault::fails_before, fault::loses_reply, fault::comes_late, fault::is_slow, fault::sent_twice}));
            check_campaign(tested, ledger, seed, totals);
        }
    }
    CHECK(totals.successes > 1000);
    CHECK(totals.replays > 2000);
    CHECK(totals.conflicts > 200);
    CHECK(totals.refused > 200);
    CHECK(totals.takeovers > 50);
    CHECK(totals.fenced > 5);
}

TEST_CASE("faults: campaigns in which handlers outlive their leases", "[faults][campaign]") {
    campaign_totals totals;
    for (auto const how : every_leased_setup()) {
        auto const seed = std::random_device()();
        INFO(how << ", seed " << seed);
        effect_ledger ledger;
        manual_clock* clock = nullptr;
        std::atomic<int> runs{0};
        service tested(how, {}, [&](text_request const&, idempo::execution& execution) {
            if (++runs % 3 == 0) {
                clock->advance(31s);
                std::this_thread::sleep_for(1ms);  // long enough for somebody to see it
            }
            return charge(ledger, execution);
        });
        clock = &tested.store_clock();
        check_campaign(tested, ledger, seed, totals);
    }
    CHECK(totals.successes > 500);
    CHECK(totals.replays > 1000);
    CHECK(totals.takeovers > 50);
    CHECK(totals.fenced > 50);
}
