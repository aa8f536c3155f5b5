// SPDX-License-Identifier: MIT

// A change of scope or secret in a deploy over a store that several processes share, and the transactional mode: one
// effect. tests/unit/layers/middleware_previous_test.cpp has the cases over the memory store.

#include <idempo/detail/background_thread.hpp>
#include <idempo/layers/idempotency.hpp>
#include <idempo/options.hpp>
#include <idempo/postgres/store.hpp>
#include <idempo/postgres/transaction/transactional.hpp>
#include <idempo/redis/store.hpp>
#include <idempo/stores/any_store.hpp>
#include <idempo/stores/blocking.hpp>

#include "support/catch.hpp"
#include "support/charges.hpp"
#include "support/patience.hpp"
#include "support/poll_until.hpp"
#include "support/postgres_server.hpp"
#include "support/redis_server.hpp"
#include "support/transactional_scene.hpp"

#include <boost/asio/use_future.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using namespace idempo::tests;
using idempo::options;

namespace {

constexpr std::string_view first_secret = "the first secret of this service";
constexpr std::string_view second_secret = "its second one, after the spring";

postgres_server& shared_postgres() {
    static postgres_server server;
    static bool const is_ready = [] {
        make_effects(server);
        return true;
    }();
    static_cast<void>(is_ready);
    return server;
}

redis_server& shared_redis() {
    static redis_server server;
    return server;
}

enum class database { redis, postgres };

/// A process: a store with its own connections, and a thread.
class process {
public:
    explicit process(database where) : store_(connect(where, thread_.get_executor())) {}

    [[nodiscard]] idempo::any_store const& store() const { return store_; }

private:
    static idempo::any_store connect(database where, boost::asio::any_io_executor const& executor) {
        if (where == database::redis) {
            idempo::redis_options redis;
            redis.port = shared_redis().port();
            return idempo::any_store(idempo::redis_store(executor, with_patience(redis)));
        }
        idempo::postgres_options postgres;
        postgres.connection = shared_postgres().connection();
        return idempo::any_store(idempo::postgres_store(executor, with_patience(postgres)));
    }

    idempo::detail::background_thread thread_;
    idempo::any_store store_;
};

text_response send(idempo::any_store const& store, options const& chosen, handler_function const& work,
                   text_request request, bool is_async) {
    if (is_async) {
        auto const handle = idempo::idempotency(store, chosen) | work;
        return read(handle(std::move(request), boost::asio::use_future).get());
    }
    auto const handle = idempo::idempotency(idempo::blocking(store), chosen) | work;
    return read(handle(std::move(request)));
}

options old_release() {
    options then;
    then.digest_keys = {first_secret};
    return then;
}

/// Another scope and another secret.
options new_release() {
    options now;
    now.scope = idempo::scope::single_tenant();
    now.key_namespace = "charges";
    now.digest_keys = {second_secret, first_secret};
    now.previous = {{.scope = idempo::scope::credential_bound(), .key_namespace = ""}};
    return now;
}

}  // namespace

TEST_CASE("previous: over Redis and PostgreSQL, a change of scope and secret charges once") {
    auto const where = GENERATE(database::redis, database::postgres);
    bool const is_async = GENERATE(false, true);
    std::string const key = "once-" + std::to_string(static_cast<int>(where)) + (is_async ? "-async" : "");
    INFO(key);
    process old_process(where);
    process new_process(where);
    effect_ledger ledger;
    auto const work = charging(ledger);
    auto const asks_new = [&](text_request request) {
        return send(new_process.store(), new_release(), work, std::move(request), is_async);
    };

    auto const first = send(old_process.store(), old_release(), work, keyed_request(key), is_async);
    CHECK(first.body() == "charge 1");
    auto const again = asks_new(keyed_request(key));
    CHECK(again.body() == "charge 1");
    CHECK(is_replay(again));
    CHECK(asks_new(keyed_request(key, "another")).result_int() == 422);
    CHECK(asks_new(keyed_request(key + "-new")).body() == "charge 2");
    CHECK(is_replay(asks_new(keyed_request(key + "-new"))));
    CHECK(ledger.size() == 2);
}

TEST_CASE("previous: over Redis and PostgreSQL, a key that has expired under the old identity is 410") {
    auto const where = GENERATE(database::redis, database::postgres);
    bool const is_async = GENERATE(false, true);
    std::string const key = "expired-" + std::to_string(static_cast<int>(where)) + (is_async ? "-async" : "");
    INFO(key);
    process old_process(where);
    process new_process(where);
    effect_ledger ledger;
    auto const work = charging(ledger);
    auto then = old_release();
    auto now = new_release();
    then.retention = now.retention = 300ms;
    then.remember_expired = now.remember_expired = 1h;
    CHECK(send(old_process.store(), then, work, keyed_request(key), is_async).body() == "charge 1");
    poll_until([&] {
        auto const answer = send(new_process.store(), now, work, keyed_request(key), is_async);
        CHECK((answer.result_int() == 410 || is_replay(answer)));
        return answer.result_int() == 410;
    });
    CHECK(send(new_process.store(), now, work, keyed_request(key), is_async).result_int() == 410);
    CHECK(ledger.size() == 1);
}

TEST_CASE("previous: over Redis and PostgreSQL, a request in flight under the old identity is 409, or waited for") {
    auto const where = GENERATE(database::redis, database::postgres);
    std::string const key = "flight-" + std::to_string(static_cast<int>(where));
    process old_process(where);
    process new_process(where);
    effect_ledger ledger;
    auto waits = new_release();
    waits.wait = 60s;
    std::future<text_response> waiting;
    std::atomic<bool> is_waiting{false};
    auto const work = [&](text_request const&, idempo::execution& execution) {
        auto const refused = send(new_process.store(), new_release(), charging(ledger), keyed_request(key), true);
        CHECK(refused.result_int() == 409);
        waits.observer = [&is_waiting](idempo::event const& event) {
            if (event.type == idempo::event_type::step_began && event.step == idempo::event_step::wait) {
                is_waiting = true;
            }
        };
        waiting = std::async(std::launch::async, [&] {
            return send(new_process.store(), waits, charging(ledger), keyed_request(key), false);
        });
        poll_until([&] { return is_waiting.load(); });
        return charge(ledger, execution);
    };
    CHECK(send(old_process.store(), old_release(), work, keyed_request(key), false).body() == "charge 1");
    auto const answer = waiting.get();
    CHECK(answer.body() == "charge 1");
    CHECK(is_replay(answer));
    CHECK(ledger.size() == 1);
}

TEST_CASE("previous: over Redis and PostgreSQL, two releases that know each other charge once") {
    auto const where = GENERATE(database::redis, database::postgres);
    process first_process(where);
    process second_process(where);
    effect_ledger ledger;
    std::atomic<int> met{0};
    auto const released = [&](idempo::digest_keys keys) {
        options chosen;
        chosen.digest_keys = std::move(keys);
        chosen.observer = [&met](idempo::event const& event) {
            met += event.type == idempo::event_type::other_identity || event.type == idempo::event_type::in_flight;
        };
        return chosen;
    };
    auto const step_1 =
        idempo::idempotency(idempo::blocking(first_process.store()), released({first_secret, second_secret})) |
        charging(ledger);
    auto const step_2 =
        idempo::idempotency(idempo::blocking(second_process.store()), released({second_secret, first_secret})) |
        charging(ledger);
    auto const key_of = [where](int number) {
        return "both-" + std::to_string(static_cast<int>(where)) + "-" + std::to_string(number);
    };
    constexpr int keys = 50;
    auto const until_charged = [&](auto const& release, int number) {
        while (read(release(keyed_request(key_of(number)))).result_int() != 201) std::this_thread::yield();
    };
    for (int number = 0; number < keys; ++number) {
        auto other = std::async(std::launch::async, [&] { until_charged(step_1, number); });
        until_charged(step_2, number);
        other.get();
        CHECK(ledger.count(key_of(number)) == 1);
    }
    CHECK(met > 0);
}

namespace {

/// A server of a fleet, whose release changes while it serves.
class rolling_server {
public:
    rolling_server(database where, effect_ledger ledger) : process_(where), ledger_(std::move(ledger)) {}

    void deploy(options release) {
        auto handle = idempo::idempotency(idempo::blocking(process_.store()), std::move(release)) | charging(ledger_);
        std::lock_guard const lock(mutex_);
        handle_ = [handle](text_request request) { return read(handle(std::move(request))); };
    }

    text_response send(text_request request) {
        std::unique_lock lock(mutex_);
        auto const handle = handle_;
        lock.unlock();
        return handle(std::move(request));
    }

private:
    process process_;
    effect_ledger ledger_;
    std::mutex mutex_;
    std::function<text_response(text_request)> handle_;
};

}  // namespace

TEST_CASE("previous: over Redis and PostgreSQL, a secret is rotated under load without a 422 or a second charge") {
    auto const where = GENERATE(database::redis, database::postgres);
    auto const seed = std::random_device()();
    INFO("seed " << seed);
    std::atomic<int> found{0};
    std::atomic<int> sent{0};
    std::atomic<int> other_statuses{0};
    std::atomic<bool> is_over{false};
    effect_ledger ledger;
    std::array<rolling_server, 2> servers{{{where, ledger}, {where, ledger}}};
    auto const release = [&found](idempo::digest_keys keys) {
        options chosen;
        chosen.digest_keys = std::move(keys);
        chosen.observer = [&found](idempo::event const& event) {
            found += event.type == idempo::event_type::other_identity ? 1 : 0;
        };
        return chosen;
    };
    std::vector<options> const releases{release({first_secret}), release({first_secret, second_secret}),
                                        release({second_secret, first_secret})};
    for (auto& server : servers) server.deploy(releases[0]);

    auto const client = [&](unsigned name) {
        std::minstd_rand random(seed + name);
        for (int number = 0; !is_over; ++number) {
            // Its own new key, twice, and one from before, which may be from before the last deploy.
            for (int const which : {number, number, number - static_cast<int>(random() % 20)}) {
                auto const key = "rotated-" + std::to_string(static_cast<int>(where)) + "-" + std::to_string(name) +
                                 "-" + std::to_string(std::max(which, 0));
                auto status = 409U;
                while (status == 409) status = servers[random() % 2].send(keyed_request(key)).result_int();
                other_statuses += status == 201 ? 0 : 1;
                ++sent;
            }
        }
    };
    std::vector<std::thread> clients;
    for (unsigned name = 0; name < 4; ++name) clients.emplace_back(client, name);
    auto const wait_for_more = [&sent] { poll_until([&sent, until = sent + 100] { return sent >= until; }); };
    for (std::size_t next = 1; next < releases.size(); ++next) {
        for (auto& server : servers) {
            wait_for_more();
            server.deploy(releases[next]);
        }
    }
    wait_for_more();
    is_over = true;
    for (auto& each : clients) each.join();
    CHECK(other_statuses == 0);
    CHECK(found > 0);
    for (auto const& [key, effects] : ledger.by_key()) {
        INFO(key);
        CHECK(effects == 1);
    }
}

namespace {

transactional_handler const have_charge = [](text_request const& request, transactional_rows& rows,
                                             idempo::execution& execution) {
    return idempo::tests::charge(request, rows, execution);
};

options transactional_old() {
    auto then = single_tenant();
    then.digest_keys = {first_secret};
    return then;
}
options transactional_new() {
    auto now = single_tenant();
    now.digest_keys = {second_secret, first_secret};
    return now;
}

}  // namespace

TEST_CASE("previous: a transaction answers a record under another identity, and has no effect") {
    transactional_scene then(have_charge, database_of(shared_postgres()), transactional_old());
    transactional_scene now(have_charge, database_of(shared_postgres()), transactional_new());
    CHECK(then.send("tx-once").result_int() == 201);
    CHECK(is_replay(now.send("tx-once")));
    CHECK(is_replay(now.await(keyed_request("tx-once"))));
    CHECK(now.send(keyed_request("tx-once", "another")).result_int() == 422);
    CHECK(now.runs == 0);
    CHECK(now.send("tx-new").result_int() == 201);
    CHECK(is_replay(now.send("tx-new")));
    CHECK(now.runs == 1);
    CHECK(effects_in(shared_postgres(), "tx-once") == "1");
    CHECK(effects_in(shared_postgres(), "tx-new") == "1");
}

TEST_CASE("previous: a transaction for a key that has expired under another identity is 410") {
    auto old_options = transactional_old();
    auto new_options = transactional_new();
    old_options.retention = new_options.retention = 300ms;
    old_options.remember_expired = new_options.remember_expired = 1h;
    transactional_scene then(have_charge, database_of(shared_postgres()), old_options);
    transactional_scene now(have_charge, database_of(shared_postgres()), new_options);
    CHECK(then.send("tx-expired").result_int() == 201);
    poll_until([&] {
        auto const answer = now.send("tx-expired");
        CHECK((answer.result_int() == 410 || is_replay(answer)));
        return answer.result_int() == 410;
    });
    CHECK(now.await(keyed_request("tx-expired")).result_int() == 410);
    CHECK(now.runs == 0);
    CHECK(effects_in(shared_postgres(), "tx-expired") == "1");
    CHECK(now.send("tx-not-expired").result_int() == 201);
}

TEST_CASE("previous: a transaction under another identity is in flight to the end") {
    transactional_scene now(have_charge, database_of(shared_postgres()), transactional_new());
    transactional_scene then(
        [&](text_request const& request, transactional_rows& rows, idempo::execution& execution) {
            CHECK(now.send("tx-flight").result_int() == 409);
            return have_charge(request, rows, execution);
        },
        database_of(shared_postgres()), transactional_old());
    CHECK(then.send("tx-flight").result_int() == 201);
    CHECK(is_replay(now.send("tx-flight")));
    CHECK(now.runs == 0);
}

TEST_CASE("previous: a transaction keeps the other release away that does not know it") {
    // The old release does not look for the new identity, but the lock that the look has taken is its own.
    transactional_scene then(have_charge, database_of(shared_postgres()), transactional_old());
    transactional_scene now(
        [&](text_request const& request, transactional_rows& rows, idempo::execution& execution) {
            CHECK(then.send("tx-locked").result_int() == 409);
            return have_charge(request, rows, execution);
        },
        database_of(shared_postgres()), transactional_new());
    CHECK(now.send("tx-locked").result_int() == 201);
    CHECK(then.runs == 0);
}

TEST_CASE("previous: two transactional releases that know each other have one effect") {
    auto step_1 = transactional_new();
    step_1.digest_keys = {first_secret, second_secret};
    transactional_scene first(have_charge, database_of(shared_postgres()), step_1);
    transactional_scene second(have_charge, database_of(shared_postgres()), transactional_new());
    auto const until_charged = [](transactional_scene& release, std::string const& key) {
        while (release.send(key).result_int() != 201) std::this_thread::yield();
    };
    for (int number = 0; number < 50; ++number) {
        auto const key = "tx-both-" + std::to_string(number);
        auto other = std::async(std::launch::async, [&] { until_charged(first, key); });
        until_charged(second, key);
        other.get();
        CHECK(effects_in(shared_postgres(), key) == "1");
    }
    CHECK(first.runs + second.runs == 50);
}

TEST_CASE("previous: stricter isolation than read committed cannot look elsewhere, and is refused") {
    idempo::detail::background_thread thread;
    auto strict = database_of(shared_postgres());
    strict.isolation = idempo::transaction_isolation::serializable;
    CHECK_THROWS_AS(idempo::transactional(thread.get_executor(), strict, transactional_new()), std::invalid_argument);
    CHECK_NOTHROW(idempo::transactional(thread.get_executor(), strict, transactional_old()));
    auto holds = single_tenant();
    holds.hold_if = [](unsigned) { return false; };
    CHECK_THROWS_AS(idempo::transactional(thread.get_executor(), database_of(shared_postgres()), holds),
                    std::invalid_argument);
}
