// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <idempo/redis/options.hpp>
#include <idempo/redis/url.hpp>

#include <chrono>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

using idempo::parse_redis_url;

TEST_CASE("redis url: host, port and database") {
    auto const plain = parse_redis_url("redis://localhost");
    CHECK(plain.host == "localhost");
    CHECK(plain.port == 6379);
    CHECK(plain.database == 0);
    CHECK(plain.password.empty());
    CHECK_FALSE(plain.tls);

    auto const full = parse_redis_url("redis://us%3Aer:p%40ss%2F@10.0.0.1:7000/3");
    CHECK(full.user == "us:er");
    CHECK(full.password == "p@ss/");
    CHECK(full.host == "10.0.0.1");
    CHECK(full.port == 7000);
    CHECK(full.database == 3);

    auto const address = parse_redis_url("REDIS://:secret@[::1]:7000/");
    CHECK(address.host == "::1");
    CHECK(address.port == 7000);
    CHECK(address.user.empty());
    CHECK(address.password == "secret");
    CHECK(parse_redis_url("redis://[::1]").port == 6379);
}

TEST_CASE("redis url: TLS") {
    auto const trusted = parse_redis_url("rediss://localhost");
    REQUIRE(trusted.tls);
    CHECK(trusted.tls->verify);
    CHECK(trusted.tls->ca_file.empty());
    auto const own = parse_redis_url("rediss://localhost:1?ca_file=/etc/my%20ca.pem&connections=2");
    CHECK(own.tls->ca_file == "/etc/my ca.pem");
    CHECK(own.connections == 2);
    CHECK_FALSE(parse_redis_url("rediss://localhost?verify=none").tls->verify);
}

TEST_CASE("redis url: unix socket") {
    auto const local = parse_redis_url("redis+unix:///run/redis.sock?database=2&prefix=my:&allow_eviction=true");
    CHECK(local.unix_path == "/run/redis.sock");
    CHECK(local.database == 2);
    CHECK(local.prefix == "my:");
    CHECK(local.allow_eviction);
    CHECK(parse_redis_url("redis+unix://:secret@/run/redis.sock").password == "secret");
}

TEST_CASE("redis url: sentinels") {
    using endpoints = std::vector<idempo::redis_endpoint>;
    auto const plain = parse_redis_url("redis+sentinel://:secret@one,two:7000,[::1]:7001/my%2Fprimary/3?connections=2");
    REQUIRE(plain.sentinels);
    CHECK(plain.sentinels->endpoints == endpoints{{"one", 26379}, {"two", 7000}, {"::1", 7001}});
    CHECK(plain.sentinels->primary_name == "my/primary");
    CHECK(plain.sentinels->password.empty());
    CHECK_FALSE(plain.sentinels->tls);
    CHECK_FALSE(plain.tls);
    CHECK(plain.password == "secret");
    CHECK(plain.database == 3);
    CHECK(plain.connections == 2);

    auto const login = parse_redis_url("redis+sentinel://one/mine?sentinel_user=who&sentinel_password=s%26cret");
    CHECK(login.sentinels->user == "who");
    CHECK(login.sentinels->password == "s&cret");

    auto const secure = parse_redis_url("rediss+sentinel://one/mine?ca_file=/ca.pem");
    REQUIRE(secure.tls);
    REQUIRE(secure.sentinels->tls);
    CHECK(secure.tls->ca_file == "/ca.pem");
    CHECK(secure.sentinels->tls->ca_file == "/ca.pem");
    auto const mixed = parse_redis_url("rediss+sentinel://one/mine?sentinel_tls=none");
    CHECK(mixed.tls);
    CHECK_FALSE(mixed.sentinels->tls);
}

TEST_CASE("redis url: cluster") {
    auto const cluster = parse_redis_url("redis+cluster://user:secret@one,two:7000?wait_replicas=1&prefix=my:");
    CHECK(cluster.cluster_nodes == std::vector<idempo::redis_endpoint>{{"one", 6379}, {"two", 7000}});
    CHECK(cluster.user == "user");
    CHECK(cluster.wait_replicas.count == 1);
    CHECK(cluster.prefix == "my:");
    CHECK_FALSE(cluster.tls);
    CHECK(parse_redis_url("rediss+cluster://one/0").tls);
}

TEST_CASE("redis url: timeouts") {
    using namespace std::chrono_literals;
    auto const found = parse_redis_url(
        "redis://localhost?connect_timeout=2s&operation_timeout=750ms&wait_timeout=120&wait_replicas=1");
    CHECK(found.connect_timeout == 2s);
    CHECK(found.operation_timeout == 750ms);
    CHECK(found.wait_replicas.timeout == 120ms);
    auto const sentinel = parse_redis_url("redis+sentinel://one/mine?operation_timeout=3s");
    CHECK(sentinel.operation_timeout == 3s);
    CHECK(parse_redis_url("redis+cluster://one?connect_timeout=5s").connect_timeout == 5s);
    for (std::string_view const wrong : {"0", "0s", "-1s", "", "s", "1m", "1.5s", "2 s", "4294967296", "4294967295s"}) {
        for (std::string_view const name : {"connect_timeout", "operation_timeout"}) {
            auto const url = "redis://localhost?" + std::string(name) + '=' + std::string(wrong);
            CAPTURE(url);
            CHECK_THROWS_AS(parse_redis_url(url), std::invalid_argument);
        }
    }
}

TEST_CASE("redis url: how to log in") {
    auto const rotated =
        parse_redis_url("redis://localhost?user=app&password_file=/run/my%20secret&client_name=orders");
    CHECK(rotated.user == "app");
    CHECK(rotated.password_file == "/run/my secret");
    CHECK(rotated.client_name == "orders");
    CHECK(rotated.password.empty());
    CHECK_THROWS_AS(parse_redis_url("redis://:secret@localhost?password_file=/run/secret"), std::invalid_argument);
    CHECK_THROWS_AS(parse_redis_url("redis://localhost?user=app"), std::invalid_argument);
}

TEST_CASE("redis url: it alone says where the servers are") {
    idempo::redis_options others;
    others.cluster_nodes = {{"elsewhere", 1}};
    CHECK(parse_redis_url("redis://localhost", others).cluster_nodes.empty());
    others = {};
    others.sentinels = idempo::redis_sentinels{.endpoints = {}, .primary_name = "other", .password = "secret"};
    CHECK_FALSE(parse_redis_url("redis+cluster://one", others).sentinels);
    auto const kept = parse_redis_url("redis+sentinel://one/mine", others);
    CHECK(kept.sentinels->primary_name == "mine");
    CHECK(kept.sentinels->password == "secret");
}

TEST_CASE("redis url: options that it does not name keep their values") {
    idempo::redis_options others;
    others.max_pending = 7;
    others.port = 7000;
    auto const found = parse_redis_url("redis://localhost", others);
    CHECK(found.max_pending == 7);
    CHECK(found.port == 7000);
}

TEST_CASE("redis url: an invalid URL is refused, without quoting it") {
    for (std::string_view const url : {"redis:",
                                       "redis:hunter2",
                                       "redis://",
                                       "redis://:hunter2@",
                                       "redis://hunter2@localhost",
                                       "redis://hunter2:@localhost",
                                       "redis://localhost:hunter2",
                                       "redis://localhost:0",
                                       "redis://localhost:65536",
                                       "redis://localhost/hunter2",
                                       "redis://localhost/-1",
                                       "redis://[::1hunter2",
                                       "redis://[::1]hunter2",
                                       "redis://localhost?hunter2",
                                       "redis://localhost?hunter2=1",
                                       "redis://localhost?database=hunter2",
                                       "redis://localhost?connections=0",
                                       "redis://localhost?connections=1000",
                                       "redis://localhost?verify=none",
                                       "redis://localhost?ca_file=hunter2",
                                       "rediss://localhost?verify=hunter2",
                                       "redis://localhost?database=1&",
                                       "redis://hunter%2@localhost",
                                       "redis://a:hunter%2",
                                       "redis://a:%zzhunter2@localhost",
                                       "redis+unix://hunter2/path",
                                       "redis+unix://",
                                       "redis+sentinel://hunter2",
                                       "redis+sentinel:///hunter2",
                                       "redis+sentinel://one,/hunter2",
                                       "redis+sentinel://one/mine/hunter2",
                                       "redis+sentinel://one/mine?sentinel_user=hunter2",
                                       "redis+sentinel://one/mine?sentinel_tls=hunter2",
                                       "redis+sentinel://one/mine?hunter2",
                                       "redis://localhost?sentinel_password=hunter2",
                                       "redis+cluster://",
                                       "redis+cluster://one,hunter2:0",
                                       "redis+cluster://one/1",
                                       "redis+cluster://one?connections=2",
                                       "redis+cluster://one?prefix={hunter2}",
                                       "redis+hunter2://one",
                                       "memory:hunter2",
                                       "memory://hunter2"}) {
        CAPTURE(url);
        try {
            static_cast<void>(parse_redis_url(url));
            FAIL("not refused");
        } catch (std::invalid_argument const& refusal) {
            CHECK(std::string_view(refusal.what()).find("hunter") == std::string_view::npos);
            CHECK(std::string_view(refusal.what()).starts_with("redis: "));
        }
    }
    CHECK_THROWS_AS(parse_redis_url("redis+unix:///" + std::string(200, 'x')), std::invalid_argument);
}

TEST_CASE("redis options: invalid options are refused") {
    using namespace std::chrono_literals;
    auto const refused = [](auto change) {
        idempo::redis_options options;
        change(options);
        CHECK_THROWS_AS(idempo::validate(options), std::invalid_argument);
    };
    refused([](auto& options) { options.host.clear(); });
    refused([](auto& options) { options.port = 0; });
    refused([](auto& options) { options.connections = 0; });
    refused([](auto& options) { options.max_pending = 0; });
    refused([](auto& options) { options.operation_timeout = 0ms; });
    refused([](auto& options) { options.connect_timeout = -1ms; });
    refused([](auto& options) { options.connect_timeout = std::chrono::milliseconds::max(); });
    refused([](auto& options) { options.user = "user"; });
    refused([](auto& options) { options.sentinels.emplace(); });
    refused([](auto& options) { options.cluster_nodes = {{"one", 0}}; });
    refused([](auto& options) { options.cluster_nodes.resize(101); });
    refused([](auto& options) {
        options.cluster_nodes = {{"one", 1}};
        options.unix_path = "/socket";
    });
    CHECK_NOTHROW(idempo::validate({}));
}
