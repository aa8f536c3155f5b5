// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/effect_ledger.hpp"
#include "support/inspectable_redis.hpp"
#include "support/poll_until.hpp"
#include "support/redis_scene.hpp"
#include "support/redis_server.hpp"
#include "support/test_certificate.hpp"

#include <idempo/redis/store.hpp>

#include <atomic>
#include <string>

using namespace idempo::tests;
using namespace idempo;

// Who the server is, is checked before anything is said to it: neither a password nor a claim goes to a stranger.

namespace {

redis_options over_tls(redis_server const& server, std::string const& trusted) {
    auto options = local_redis(server.port());
    options.host = "localhost";
    options.tls.emplace().ca_file = trusted;
    return options;
}

/// Nothing is executed, the reason is reported, and the server has heard no command, nor the password.
void check_refused(redis_options options, redis_server const& server) {
    options.password = "secret";
    auto const heard = [&] {
        return std::stoul(info_field(server.ask({"INFO", "stats"}), "total_commands_processed"));
    };
    auto const before = heard();
    std::atomic<int> reports{0};
    options.observer = [&](redis_event const& event) {
        reports += event.problem == redis_problem::untrusted_certificate && event.error;
    };
    inspectable_redis store(options);
    effect_ledger ledger;
    CHECK(execute(store, numbered_key(1), ledger).first);
    poll_until([&] { return reports > 0; });
    CHECK(ledger.size() == 0);
    CHECK(heard() == before + 1);  // the question before
    CHECK(info_field(server.ask({"INFO", "commandstats"}), "cmdstat_auth").empty());
}

}  // namespace

TEST_CASE("redis: a certificate that nobody vouches for is refused") {
    test_certificate const its_own("localhost");
    test_certificate const another("localhost");
    redis_server const server(its_own.redis_flags());
    check_refused(over_tls(server, another.path()), server);
    check_refused(over_tls(server, ""), server);  // the system's authorities do not know it either
}

TEST_CASE("redis: a certificate for another host is refused") {
    test_certificate const certificate("redis.example");
    redis_server const server(certificate.redis_flags());
    check_refused(over_tls(server, certificate.path()), server);
}

TEST_CASE("redis: a server that is trusted hears the password") {
    test_certificate const certificate("localhost");
    redis_server const server(certificate.redis_flags());
    auto options = over_tls(server, certificate.path());
    options.user = "default";
    options.password = "secret";  // any will do for a user that needs none
    inspectable_redis store(options);
    CHECK(works(store));
    CHECK_FALSE(info_field(server.ask({"INFO", "commandstats"}), "cmdstat_auth").empty());
}

TEST_CASE("redis: without verification any certificate will do") {
    test_certificate const certificate("redis.example");
    redis_server const server(certificate.redis_flags());
    auto options = over_tls(server, "");
    options.tls->verify = false;
    inspectable_redis store(options);
    CHECK(works(store));
}

TEST_CASE("redis: a server without TLS fails closed, and so does TLS where none is expected") {
    test_certificate const certificate("localhost");
    redis_server const plain;
    redis_server const secure(certificate.redis_flags());
    effect_ledger ledger;
    inspectable_redis expects_tls(over_tls(plain, certificate.path()));
    CHECK(execute(expects_tls, numbered_key(1), ledger).first);
    inspectable_redis expects_none(local_redis(secure.port()));
    CHECK(execute(expects_none, numbered_key(1), ledger).first);
    CHECK(ledger.size() == 0);
}
