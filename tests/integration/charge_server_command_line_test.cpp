// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/charge_scene.hpp"
#include "support/http_client.hpp"
#include "support/server_process.hpp"

#include <boost/system/system_error.hpp>

#include <csignal>
#include <string>
#include <vector>

using namespace idempo::tests;

namespace {

using words = std::vector<std::string>;

bool is_one_line(std::string const& text) { return !text.empty() && text.find('\n') == text.size() - 1; }

}  // namespace

TEST_CASE("charge_server: a wrong command line is one line and exit 2") {
    auto const flags = GENERATE(
        words{"--bogus"}, words{"argument"}, words{"--port", "65536"}, words{"--port", "x"}, words{"--port"},
        words{"--address", "localhost:80"}, words{"--threads", "0"}, words{"--max-connections", "0"},
        words{"--style", "threads"}, words{"--profile", "square"}, words{"--methods", "POST,FETCH"},
        words{"--methods", "HEAD"}, words{"--methods", ""}, words{"--header", "not a name"}, words{"--lease", "30"},
        words{"--lease", "0s"}, words{"--lease", "s"}, words{"--retention", "1d"}, words{"--retention", "-1s"},
        words{"--wait", "1 s"}, words{"--wait", "1e3s"}, words{"--wait", "9999999999999h"},
        words{"--persist-timeout", "-1s"}, words{"--heartbeat", "maybe"}, words{"--on-throw", "ignore"},
        words{"--scope", "tenant"}, words{"--scope", "header:"}, words{"--scope", "header:not a name"},
        words{"--digest-key-file", "/nowhere/secret"}, words{"--digest-key-file", "/dev/null"},
        words{"--previous-scope", "tenant"}, words{"--previous-digest-key-file", "/nowhere/secret"},
        words{"--previous-without-digest-key", "--previous-digest-key-file", "/dev/null"}, words{"--store", "nothing"},
        words{"--store", "ftp://host"}, words{"--store", "memory:?max_records=0"},
        words{"--migrate", "--store", "ftp://host"}, words{"--no-middleware", "--store", "ftp://host"});
    CAPTURE(flags);

    server_process server(flags);

    CHECK(server.port() == 0);
    CHECK(server.wait() == 2);
    CHECK(is_one_line(server.errors()));
    CHECK(server.output().empty());
}

TEST_CASE("charge_server: a complaint names the flag") {
    auto const flag = GENERATE(as<std::string>{}, "--lease", "--retention", "--wait", "--heartbeat", "--on-throw",
                               "--scope", "--digest-key-file", "--previous-scope", "--previous-digest-key-file",
                               "--style", "--profile", "--methods", "--header", "--address", "--port");
    server_process server({flag, "?"});
    CHECK(server.wait() == 2);
    CHECK(server.errors().find(flag) != std::string::npos);
}

TEST_CASE("charge_server: --help says all flags and exits 0") {
    server_process server({"--help"});
    CHECK(server.wait() == 0);
    CHECK(server.errors().empty());
    for (auto const* flag : {"--address",
                             "--port",
                             "--threads",
                             "--max-connections",
                             "--store",
                             "--migrate",
                             "--style",
                             "--profile",
                             "--methods",
                             "--header",
                             "--require-key",
                             "--lease",
                             "--heartbeat",
                             "--retention",
                             "--wait",
                             "--persist-timeout",
                             "--guard",
                             "--on-throw",
                             "--scope",
                             "--no-middleware",
                             "--log",
                             "--digest-key-file",
                             "--previous-scope",
                             "--previous-digest-key-file",
                             "--previous-without-digest-key"}) {
        CAPTURE(flag);
        CHECK(server.output().find(flag) != std::string::npos);
    }
    for (auto const* scheme : {"memory:", "redis://", "rediss://", "redis+unix://", "redis+sentinel://",
                               "rediss+sentinel://", "redis+cluster://", "rediss+cluster://", "postgresql://"}) {
        CAPTURE(scheme);
        CHECK(server.output().find(scheme) != std::string::npos);
    }
}

TEST_CASE("charge_server: a port in use is one line and exit 1") {
    server_process first({});
    server_process second({"--port", std::to_string(first.port())});
    CHECK(second.wait() == 1);
    CHECK(is_one_line(second.errors()));
}

TEST_CASE("charge_server: --migrate on the memory store has nothing to do") {
    server_process server({"--migrate"});
    CHECK(server.wait() == 0);
    CHECK(server.output().find("nothing to migrate") != std::string::npos);
}

TEST_CASE("charge_server: --address is where it listens") {
    server_process server({"--address", "127.0.0.2"});
    CHECK(server.output() == "listening on http://127.0.0.2:" + std::to_string(server.port()) + "\n");
    CHECK(http_client(server.port(), "127.0.0.2").get("/healthz").result_int() == 200);
    CHECK_THROWS_AS(http_client(server.port(), "127.0.0.1"), boost::system::system_error);
}

TEST_CASE("charge_server: SIGTERM and SIGINT end it with exit 0") {
    auto const style = each_style();
    auto const signal = GENERATE(SIGTERM, SIGINT);
    CAPTURE(style, signal);
    charge_scene scene(style);
    CHECK(scene.client.get("/healthz").result_int() == 200);

    scene.server.send_signal(signal);

    CHECK(scene.server.wait() == 0);
    CHECK(scene.server.errors().empty());
    CHECK(scene.client.is_closed());
    CHECK_THROWS_AS(http_client(scene.server.port()), boost::system::system_error);
}

TEST_CASE("charge_server: flags change the profile wherever they stand") {
    auto const flags =
        GENERATE(words{"--methods", "PUT", "--profile", "stripe"}, words{"--profile", "stripe", "--methods", "PUT"});
    server_process server(flags);
    http_client client(server.port());
    auto put = make_post("/charge", "a", charge_42);
    put.method(http::verb::put);
    auto const first = client.exchange(put);
    auto const second = client.exchange(put);
    CHECK(second["Idempotent-Replayed"] == "true");
    CHECK(second.body() == first.body());
    CHECK(client.post("/charge", "b", charge_42).body() != client.post("/charge", "b", charge_42).body());
}

TEST_CASE("charge_server: --threads and the units of durations") {
    auto const style = each_style();
    charge_scene scene(style, {"--threads", "1", "--lease", "1500ms", "--retention", "0.5h", "--wait", "1m"});
    scene.client.send(make_post("/charge?delay_ms=60000", "a", charge_42));
    scene.wait_until_started(1);
    CHECK(http_client(scene.server.port()).get("/healthz").result_int() == 200);
}
