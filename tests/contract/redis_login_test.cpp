// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/inspectable_redis.hpp"
#include "support/poll_until.hpp"
#include "support/redis_scene.hpp"
#include "support/redis_server.hpp"
#include "support/test_certificate.hpp"

#include <idempo/redis/rate_limiter.hpp>
#include <idempo/redis/store.hpp>
#include <idempo/redis/url.hpp>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>

using namespace idempo::tests;
using namespace idempo;

// Who this client is, and what it must be allowed to do.

namespace {

/// The permissions in docs/redis.md, "What Redis must have".
void add_app(redis_server const& server) {
    server.ask({"ACL", "SETUSER", "app", "on", ">one", "~idempo:*", "+get", "+set", "+del", "+pttl", "+pexpire"});
    server.ask({"ACL", "SETUSER", "app", "+eval", "+evalsha", "+info", "+select", "+hget", "+hset", "+hstrlen"});
}

redis_options as_app(redis_server const& server) {
    auto options = local_redis(server.port());
    options.user = "app";
    options.password = "one";
    return options;
}

void write(std::string const& path, std::string const& password) { std::ofstream(path) << password << '\n'; }

/// The user has another password from now on, and its connections are cut.
void rotate(redis_server const& server, std::string const& password) {
    server.ask({"ACL", "SETUSER", "app", "resetpass", ">" + password});
    server.ask({"CLIENT", "KILL", "USER", "app"});
}

/// Every operation of a store, the second steps included.
void check_all_operations(inspectable_redis& store) {
    auto const claim = claim_of(numbered_key(1));
    error_code error;
    CHECK(std::holds_alternative<granted>(store.claim(claim, error)));
    CHECK(std::holds_alternative<in_flight>(store.claim(claim_of(claim.key), error)));
    CHECK(store.renew(claim.key, claim.fencing_token, 1ms, error));
    poll_until([&] { return std::holds_alternative<granted>(store.claim(claim_of(claim.key), error)); });
    CHECK(store.peek(claim.key, error));
    CHECK_FALSE(error);
    CHECK(store.forget(claim.key, error));
    CHECK(std::holds_alternative<done>(store.complete(complete_of(claim, "stored"), error)));
    store.abandon(claim.key, claim.fencing_token, error);
    CHECK_FALSE(error);
    CHECK(std::holds_alternative<completed>(store.claim(claim_of(claim.key), error)));
    auto const large = claim_of(numbered_key(2));
    CHECK(std::holds_alternative<granted>(store.claim(large, error)));
    CHECK(std::holds_alternative<done>(store.complete(complete_of(large, std::string(100'000, 'x')), error)));
    CHECK(std::holds_alternative<completed>(store.claim(claim_of(large.key), error)));
    CHECK(store.peek(large.key, error));
}

}  // namespace

TEST_CASE("redis login: the documented permissions are enough, and nothing else is used") {
    redis_server const server;
    add_app(server);
    server.ask({"ACL", "LOG", "RESET"});
    auto options = as_app(server);
    options.database = 3;
    options.client_name.clear();
    inspectable_redis store(options);
    REQUIRE(works(store));
    check_all_operations(store);
    CHECK(server.ask({"ACL", "LOG"}).empty());

    server.ask({"ACL", "SETUSER", "app", "+incr"});  // docs/layers.md
    detail::background_thread thread;
    redis_rate_limiter limiter(thread.get_executor(), options, {.limit = 5, .window = 1min});
    error_code error;
    CHECK(limiter.take(numbered_key(1), error).allowed);
    CHECK(limiter.take(numbered_key(1), error).remaining == 3);
    CHECK(server.ask({"ACL", "LOG"}).empty());
}

TEST_CASE("redis login: a name for the connection that may not be set is done without") {
    redis_server const server;
    add_app(server);
    inspectable_redis store(as_app(server));
    CHECK(works(store));
    server.ask({"ACL", "SETUSER", "app", "+client|setname"});
    inspectable_redis named(as_app(server));
    CHECK(works(named));
    CHECK(server.ask({"CLIENT", "LIST"}).find("name=idempo ") != std::string::npos);
}

TEST_CASE("redis login: a password file is read again for each connection") {
    redis_server const server;
    add_app(server);
    auto const path = server.directory() + "/password";
    write(path, "one");
    auto options = parse_redis_url(server.url() + "?user=app&password_file=" + path);
    inspectable_redis store(options);
    REQUIRE(works(store));
    write(path, "two");
    rotate(server, "two");
    poll_until([&] { return works(store); });

    std::atomic<int> unreadable{0};
    options.observer = [&](redis_event const& event) {
        unreadable += event.problem == redis_problem::not_permitted &&
                      event.words == "the password file cannot be read, or is empty";
    };
    std::filesystem::remove(path);
    inspectable_redis without(options);
    CHECK_FALSE(works(without));
    CHECK(unreadable > 0);
    write(path, "two");
    poll_until([&] { return works(without); });
}

TEST_CASE("redis login: a function gives credentials anew for each connection") {
    redis_server const server;
    add_app(server);
    std::mutex mutex;
    std::string password = "one";
    bool is_out_of_order = true;
    auto options = local_redis(server.port());
    options.credentials = [&]() -> redis_credentials {
        std::lock_guard const lock(mutex);
        if (is_out_of_order) throw std::runtime_error("no token today");
        return {"app", password};
    };
    std::atomic<int> told{0};
    options.observer = [&](redis_event const& event) { told += event.words == "no token today"; };
    inspectable_redis store(options);
    CHECK_FALSE(works(store));
    CHECK(told > 0);
    {
        std::lock_guard const lock(mutex);
        is_out_of_order = false;
    }
    poll_until([&] { return works(store); });
    {
        std::lock_guard const lock(mutex);
        password = "two";
    }
    rotate(server, "two");
    poll_until([&] { return works(store); });
}

TEST_CASE("redis login: what the server says of a refusal is reported") {
    redis_server const server;
    add_app(server);
    std::mutex mutex;
    std::string words;
    auto options = as_app(server);
    options.observer = [&](redis_event const& event) {
        std::lock_guard const lock(mutex);
        words = event.words;
    };
    SECTION("a wrong password") {
        options.password = "secret";
        inspectable_redis store(options);
        CHECK_FALSE(works(store));
        std::lock_guard const lock(mutex);
        CHECK(words.starts_with("WRONGPASS"));
        CHECK(words.find("secret") == std::string::npos);
    }
    SECTION("a database that there is not") {
        options.database = 99;
        inspectable_redis store(options);
        CHECK_FALSE(works(store));
        std::lock_guard const lock(mutex);
        CHECK(words == "ERR DB index is out of range");
    }
    SECTION("too many clients") {
        server.ask({"CONFIG", "SET", "maxclients", "1"});
        inspectable_redis first(options);
        CHECK(works(first));
        inspectable_redis second(options);
        CHECK_FALSE(works(second));
        std::lock_guard const lock(mutex);
        CHECK(words == "ERR max number of clients reached");
    }
}

TEST_CASE("redis login: an event names the server, also one on a unix socket") {
    redis_server const server;
    std::promise<redis_endpoint> first;
    auto const found = [&](redis_options options) {
        first = {};
        options.observer = [&, is_told = false](redis_event const& event) mutable {
            if (!std::exchange(is_told, true)) first.set_value(event.endpoint);
        };
        inspectable_redis store(options);
        CHECK(works(store));
        return first.get_future().get();
    };
    redis_options local;
    local.unix_path = server.unix_path();
    CHECK(found(local) == redis_endpoint{server.unix_path(), 0});
    CHECK(found(local_redis(server.port())) == redis_endpoint{"127.0.0.1", server.port()});
}

TEST_CASE("redis login: a server that asks for the client's certificate is shown it") {
    test_certificate const certificate("localhost");
    redis_server const server(certificate.redis_flags("yes"));
    auto options = local_redis(server.port());
    options.host = "localhost";
    options.tls.emplace().ca_file = certificate.path();
    inspectable_redis without(options);
    CHECK_FALSE(works(without));
    options.tls->certificate_file = certificate.path();
    options.tls->key_file = certificate.key_path();
    inspectable_redis with(options);
    poll_until([&] { return works(with); });

    auto const by_url = parse_redis_url("rediss://localhost?ca_file=a&certificate_file=b&key_file=c");
    CHECK(by_url.tls->certificate_file == "b");
    CHECK(by_url.tls->key_file == "c");
    options.tls->key_file = certificate.path();
    CHECK_THROWS_AS(inspectable_redis(options), std::invalid_argument);
    options.tls->key_file.clear();
    CHECK_THROWS_AS(inspectable_redis(options), std::invalid_argument);
}
