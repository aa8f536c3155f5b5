// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/effect_ledger.hpp"
#include "support/fault_proxy.hpp"
#include "support/inspectable_redis.hpp"
#include "support/pending_answer.hpp"
#include "support/poll_until.hpp"
#include "support/redis_events.hpp"
#include "support/redis_scene.hpp"
#include "support/redis_sentinel.hpp"
#include "support/test_certificate.hpp"

#include <idempo/redis/store.hpp>
#include <idempo/redis/url.hpp>
#include <idempo/store.hpp>

#include <boost/asio/io_context.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

using namespace idempo::tests;
using namespace idempo;

// A primary that fails, and sentinels that do.

namespace {

redis_options local_sentinels(sentinel_scene const& scene, redis_events const& events,
                              std::string_view parameters = {}) {
    redis_options others;
    others.operation_timeout = 2s;  // a slow machine is no outage
    others.observer = events.observer();
    return parse_redis_url(scene.url(parameters), others);
}

/// Options with which nothing but a sentinel's word can end a connection to a server that has stopped.
redis_options with_patience(redis_options options) {
    options.operation_timeout = 60s;
    return options;
}

/// Begins operations of a store when it is told of something, as an observer that keeps its log there would.
class calling_observer {
public:
    void set(std::shared_ptr<redis_store> store) {
        std::lock_guard const lock(mutex_);
        store_ = std::move(store);
    }

    void use(std::size_t count) {
        std::lock_guard const lock(mutex_);
        if (!store_) return;
        for (std::size_t number = 0; number < count; ++number) {
            ++begun_;
            store_->async_peek(numbered_key(number), [this](error_code, auto const&) { ++answered_; });
        }
    }

    [[nodiscard]] std::size_t begun() const { return begun_; }
    [[nodiscard]] std::size_t answered() const { return answered_; }

private:
    std::mutex mutex_;
    std::shared_ptr<redis_store> store_;
    std::atomic<std::size_t> begun_{0};
    std::atomic<std::size_t> answered_{0};
};

/// That the connection to a primary that has stopped is given up, since a sentinel says that there is another.
void check_is_told_of_successor(sentinel_scene& scene, redis_options const& options) {
    inspectable_redis store(with_patience(options));
    poll_until([&] { return works(store); });
    auto& old = scene.server(scene.primary());
    old.send_signal(SIGSTOP);
    auto unanswered = begin_claim(store.async(), claim_of(numbered_key(1)));
    CHECK(unanswered.get().first == error::store_unavailable);
    poll_until([&] { return works(store); });
    old.send_signal(SIGCONT);
}

}  // namespace

TEST_CASE("redis sentinel: a primary that is killed is succeeded, and comes back as a replica") {
    sentinel_scene scene;
    redis_events const events;
    inspectable_redis store(local_sentinels(scene, events));
    poll_until([&] { return works(store); });
    CHECK(events.ready_port() == scene.server(0).port());
    effect_ledger ledger;
    REQUIRE_FALSE(execute(store, numbered_key(1), ledger).first);
    scene.await_replication();

    scene.server(0).kill();
    auto const refused = execute(store, numbered_key(2), ledger).first;
    CHECK((refused == error::store_unavailable || refused == error::store_timed_out));
    auto const successor = scene.await_successor(0);
    poll_until([&] { return works(store); });
    CHECK(events.ready_port() == scene.server(successor).port());
    CHECK(std::holds_alternative<completed>(execute(store, numbered_key(1), ledger).second));

    scene.server(0).start();
    scene.await_health();
    CHECK(works(store));
    inspectable_redis another(local_sentinels(scene, events));
    CHECK(works(another));
    CHECK(events.ready_port() == scene.server(successor).port());
    CHECK(ledger.size() == 1);
}

TEST_CASE("redis sentinel: a primary that has stopped is left when a sentinel says that it has been replaced") {
    sentinel_scene scene;
    redis_events const events;
    check_is_told_of_successor(scene, local_sentinels(scene, events, "?connections=3"));
    CHECK(events.ready_port() != scene.server(0).port());
    CHECK(events.count(redis_problem::lost) == 3);
    scene.await_health();
}

TEST_CASE("redis sentinel: a failover that an operator asks for is followed") {
    sentinel_scene scene({.replicas = 1});
    redis_events const events;
    inspectable_redis store(local_sentinels(scene, events));
    effect_ledger ledger;
    poll_until([&] { return works(store); });
    REQUIRE_FALSE(execute(store, numbered_key(1), ledger).first);
    scene.await_replication();
    auto const successor = scene.fail_over();
    poll_until([&] { return works(store) && events.ready_port() == scene.server(successor).port(); });
    CHECK(std::holds_alternative<completed>(execute(store, numbered_key(1), ledger).second));
    CHECK(ledger.size() == 1);
}

TEST_CASE("redis sentinel: a primary that has become a replica refuses, and is asked nothing more") {
    sentinel_scene scene({.replicas = 1});
    redis_events const events;
    inspectable_redis store(with_patience(local_sentinels(scene, events)));
    poll_until([&] { return works(store); });
    // Not by the sentinels, who would close its connections.
    scene.server(0).ask({"REPLICAOF", "127.0.0.1", std::to_string(scene.server(1).port())});
    effect_ledger ledger;
    CHECK(execute(store, numbered_key(1), ledger).first == error::store_unavailable);
    CHECK(info_field(scene.server(0).ask({"INFO", "errorstats"}), "errorstat_READONLY") == "count=1");
    CHECK(ledger.size() == 0);
    // The sentinels still name it, and it is not used, until they have made the other one the primary.
    poll_until([&] { return events.count(redis_problem::not_ready) > 0; });
    auto const successor = scene.await_successor(0);
    poll_until([&] { return works(store) && events.ready_port() == scene.server(successor).port(); });
}

TEST_CASE("redis sentinel: two of three may be gone, and without any an established connection goes on") {
    sentinel_scene scene({.replicas = 1});
    redis_events const events;
    inspectable_redis store(local_sentinels(scene, events));
    poll_until([&] { return works(store); });
    scene.kill_sentinel(0);
    scene.kill_sentinel(1);
    CHECK(works(store));
    {
        inspectable_redis another(local_sentinels(scene, {}));
        CHECK(works(another));
    }
    scene.kill_sentinel(2);
    poll_until([&] { return events.count(redis_problem::no_sentinel) > 0; });
    CHECK(works(store));
    CHECK(events.count(redis_problem::lost) == 0);

    redis_events const others_events;
    inspectable_redis another(local_sentinels(scene, others_events));
    effect_ledger ledger;
    CHECK(execute(another, numbered_key(1), ledger).first == error::store_unavailable);
    CHECK(others_events.count(redis_problem::no_sentinel) > 0);
    scene.restart_sentinel(1);
    CHECK(time_to_work(another) < 5s);
    CHECK(ledger.size() == 0);
    CHECK(events.count(redis_problem::lost) == 0);
}

TEST_CASE("redis sentinel: a silent sentinel is skipped, and no longer listened to") {
    sentinel_scene scene({.replicas = 1});
    redis_events const events;
    auto options = local_sentinels(scene, events);
    inspectable_redis subscribed(with_patience(options));
    poll_until([&] { return works(subscribed); });
    scene.stop_sentinel(0);
    inspectable_redis another(options);
    CHECK(works(another));  // within its first attempt, or it would be refused
    check_is_told_of_successor(scene, options);
    poll_until([&] { return works(subscribed); });
    scene.continue_sentinel(0);
}

TEST_CASE("redis sentinel: a change between two subscriptions is not missed") {
    sentinel_scene scene({.replicas = 1});
    fault_proxy proxy(scene.sentinel(0).port());
    redis_events const events;
    auto options = with_patience(local_sentinels(scene, events));
    options.connect_timeout = 300ms;
    options.sentinels->endpoints = {{"127.0.0.1", proxy.port()}};
    inspectable_redis store(options);
    poll_until([&] { return works(store); });
    proxy.hold();
    scene.server(0).send_signal(SIGSTOP);
    auto unanswered = begin_claim(store.async(), claim_of(numbered_key(1)));
    scene.await_successor(0);
    poll_until([&] { return events.count(redis_problem::no_sentinel) > 0; });
    CHECK(events.count(redis_problem::lost) == 0);
    proxy.release();
    CHECK(unanswered.get().first == error::store_unavailable);
    poll_until([&] { return works(store); });
    scene.server(0).send_signal(SIGCONT);
}

TEST_CASE("redis sentinel: a malformed sentinel is asked again, not too often, and an outdated one is overruled") {
    sentinel_scene scene({.replicas = 1});
    fault_proxy proxy(scene.sentinel(0).port());
    redis_events const events;
    auto options = local_sentinels(scene, events);
    options.sentinels->endpoints[0].port = proxy.port();

    SECTION("nonsense") {
        proxy.rewrite([](std::string& reply) {
            if (reply.find("subscribe") != std::string::npos) reply += "*1\r\n$5\r\nhello\r\n";
        });
        options.sentinels->endpoints.resize(1);
        inspectable_redis store(options);
        poll_until([&] { return works(store); });
        auto const before = proxy.connections();
        auto const start = std::chrono::steady_clock::now();
        poll_until([&] { return events.count(redis_problem::no_sentinel) > 0; });
        poll_until([&] { return proxy.connections() > before + 2; });
        CHECK(works(store));
        auto const pauses = static_cast<std::size_t>((std::chrono::steady_clock::now() - start) / 20ms);
        CHECK(proxy.connections() - before < 10 + pauses);
        CHECK(events.count(redis_problem::lost) == 0);
    }
    SECTION("behind") {
        // As one would that has missed a failover: it names what is a replica now.
        proxy.rewrite([from = std::to_string(scene.server(0).port()),
                       to = std::to_string(scene.server(1).port())](std::string& reply) {
            auto const found = reply.find(from);
            if (found != std::string::npos) reply.replace(found, from.size(), to);
        });
        inspectable_redis store(options);
        poll_until([&] { return works(store); });
        CHECK(events.ready_port() == scene.server(0).port());
        CHECK(events.count(redis_problem::not_ready) > 0);
    }
}

TEST_CASE("redis sentinel: a name that they do not know, and a password that they do not take, are reported") {
    sentinel_scene scene({.replicas = 0});
    redis_events const events;
    auto options = local_sentinels(scene, events);
    effect_ledger ledger;

    SECTION("a name") {
        options.sentinels->primary_name = "orders";
        inspectable_redis store(options);
        CHECK(execute(store, numbered_key(1), ledger).first == error::store_unavailable);
        CHECK(events.count(redis_problem::unknown_primary) > 0);
    }
    SECTION("a password") {
        for (std::size_t number = 0; number < 3; ++number) {
            scene.sentinel(number).ask({"ACL", "SETUSER", "default", "resetpass", ">other"});
        }
        options.sentinels->password = "secret";
        inspectable_redis store(options);
        CHECK(execute(store, numbered_key(1), ledger).first == error::store_unavailable);
        CHECK(events.count(redis_problem::not_permitted) > 0);
    }
    CHECK(events.count(redis_problem::none) == 0);
    CHECK(ledger.size() == 0);
}

TEST_CASE("redis sentinel: a user of theirs with the least of permissions is enough") {
    sentinel_scene scene({.replicas = 1});
    for (std::size_t number = 0; number < 3; ++number) {
        scene.sentinel(number).ask({"ACL", "SETUSER", "client", "on", ">s&cret", "resetchannels", "&+switch-master",
                                    "&+promoted-slave", "+sentinel|get-master-addr-by-name", "+subscribe", "+ping"});
        scene.sentinel(number).ask({"ACL", "SETUSER", "default", "-sentinel|get-master-addr-by-name", "-subscribe"});
    }
    redis_events const events;
    inspectable_redis store(
        with_patience(local_sentinels(scene, events, "?sentinel_user=client&sentinel_password=s%26cret")));
    poll_until([&] { return works(store); });
    scene.server(0).send_signal(SIGSTOP);
    auto unanswered = begin_claim(store.async(), claim_of(numbered_key(1)));
    CHECK(unanswered.get().first == error::store_unavailable);
    poll_until([&] { return works(store); });
    CHECK(events.count(redis_problem::no_sentinel) == 0);
    scene.server(0).send_signal(SIGCONT);
}

TEST_CASE("redis sentinel: over TLS, with the names of hosts, and never to a stranger") {
    test_certificate const certificate("localhost");
    auto flags = certificate.redis_flags();
    flags.insert(flags.end(), {"--tls-replication", "yes"});
    sentinel_scene scene({.replicas = 1, .host = "localhost", .server_flags = flags, .sentinel_flags = flags});
    redis_events const events;
    auto const options = local_sentinels(scene, events, "?ca_file=" + certificate.path());
    check_is_told_of_successor(scene, options);
    CHECK(events.ready_port() != scene.server(0).port());

    test_certificate const another("localhost");
    redis_events const strangers_events;
    inspectable_redis distrustful(local_sentinels(scene, strangers_events, "?ca_file=" + another.path()));
    effect_ledger ledger;
    CHECK(execute(distrustful, numbered_key(2), ledger).first);
    CHECK(strangers_events.count(redis_problem::none) == 0);
}

TEST_CASE("redis sentinel: a store that is given up waits for no sentinel") {
    sentinel_scene scene({.replicas = 0});
    detail::background_thread thread;
    for (std::size_t number = 0; number < 3; ++number) scene.stop_sentinel(number);
    auto const start = std::chrono::steady_clock::now();
    pending_answer<claim_result> pending;
    {
        redis_store store(thread.get_executor(), local_sentinels(scene, {}));
        pending = begin_claim(store, claim_of(numbered_key(1)));
    }
    CHECK(std::chrono::steady_clock::now() - start < 100ms);
    CHECK(pending.get().first);
    for (std::size_t number = 0; number < 3; ++number) scene.continue_sentinel(number);
}

// It may as well have been replaced, and what it accepted would be lost. (docs/redis.md, Sentinel)
TEST_CASE("redis sentinel: without any, a connection that is lost is not made again to the last primary") {
    sentinel_scene scene({.replicas = 1});
    redis_events const events;
    inspectable_redis store(local_sentinels(scene, events));
    poll_until([&] { return works(store); });
    for (std::size_t number = 0; number < sentinel_scene::sentinel_count; ++number) scene.kill_sentinel(number);
    CHECK(works(store));
    auto const ready = events.count(redis_problem::none);
    scene.server(0).ask({"CLIENT", "KILL", "TYPE", "normal"});
    poll_until([&] { return events.count(redis_problem::lost) > 0; });
    effect_ledger ledger;
    for (std::size_t number = 0; number < 3; ++number) CHECK(execute(store, numbered_key(number), ledger).first);
    CHECK(ledger.size() == 0);
    CHECK(events.count(redis_problem::none) == ready);
    scene.restart_sentinel(0);
    poll_until([&] { return works(store); });
    CHECK(events.ready_port() == scene.server(0).port());
}

// It is told while the connection is between two states.
TEST_CASE("redis sentinel: an observer may use the store, whatever it is told") {
    sentinel_scene scene({.replicas = 1});
    detail::background_thread thread;
    auto const calls = std::make_shared<calling_observer>();
    redis_events const events;
    auto options = local_sentinels(scene, events);
    options.observer = [calls, tell = events.observer()](redis_event const& event) {
        tell(event);
        calls->use(8);
    };
    auto store = std::make_shared<redis_store>(thread.get_executor(), options);
    calls->set(store);
    poll_until([&] { return calls->answered() > 0; });
    auto const successor = scene.fail_over();
    poll_until([&] { return events.ready_port() == scene.server(successor).port(); });
    CHECK(events.count(redis_problem::lost) > 0);
    scene.server(successor).ask({"CLIENT", "KILL", "TYPE", "normal"});
    poll_until([&] { return events.count(redis_problem::lost) > 1; });
    poll_until([&] { return calls->begun() == calls->answered(); });
    calls->set(nullptr);
}

// The comparison that each subscription begins with refers to the watch that owns it.
TEST_CASE("redis sentinel: a context that is destroyed at any moment leaves nothing behind") {
    sentinel_scene scene;
    auto const descriptors = [] {
        return std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                             std::filesystem::directory_iterator());
    };
    std::ptrdiff_t before = 0;
    for (int steps = 0; steps < 40; ++steps) {
        if (steps == 1) before = descriptors();
        boost::asio::io_context context;
        {
            redis_store const store(context.get_executor(), parse_redis_url(scene.url()));
            for (int step = 0; step < steps; ++step) context.run_one_for(5ms);
        }
    }
    CHECK(descriptors() == before);
}
