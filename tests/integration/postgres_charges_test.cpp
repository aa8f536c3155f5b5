// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/charge_scene.hpp"
#include "support/http_client.hpp"
#include "support/poll_until.hpp"
#include "support/postgres_server.hpp"
#include "support/server_process.hpp"

#include <csignal>
#include <string>

using namespace idempo::tests;

namespace {

postgres_server& shared_server() {
    static postgres_server server;
    return server;
}

std::string url_of(postgres_server const& server, std::string const& more = {}) {
    return "postgresql://idempo@/postgres?host=" + server.directory() + more;
}

}  // namespace

TEST_CASE("charge_server on PostgreSQL: --migrate prepares the store and exits") {
    auto const url = url_of(shared_server(), "&schema=shop&table=keys");
    server_process unprepared({"--store", url});
    CHECK(unprepared.port() == 0);
    CHECK(unprepared.wait() == 2);
    CHECK(unprepared.errors().find("--migrate") != std::string::npos);

    server_process migration({"--migrate", "--store", url});
    CHECK(migration.wait() == 0);
    CHECK(migration.output() == "postgresql: migrated\n");
    server_process again({"--migrate", "--store", url});
    CHECK(again.wait() == 0);
    CHECK(again.output() == "postgresql: nothing to migrate\n");

    server_process const prepared({"--store", url});
    CHECK(prepared.port() != 0);
    CHECK(http_client(prepared.port()).post("/charge", "a", charge_42).result_int() == 201);
    CHECK(shared_server().ask("SELECT count(*) FROM shop.keys") == "1");
}

TEST_CASE("charge_server on PostgreSQL: without a server --migrate is exit 1") {
    server_process migration({"--migrate", "--store", "postgresql://idempo@/postgres?host=/nonexistent"});
    CHECK(migration.wait() == 1);
    CHECK_FALSE(migration.errors().empty());
}

TEST_CASE("charge_server on PostgreSQL: a response outlives its process, and other processes have it, too") {
    auto const style = each_style();
    CAPTURE(style);
    auto const url = url_of(shared_server());
    auto const key = "outlives-" + style;
    std::string first;
    {
        charge_scene scene(style, {"--store", url});
        auto const response = scene.client.post("/charge", key, charge_42);
        REQUIRE(response.result_int() == 201);
        first = response.body();
        CHECK(is_replay(scene.client.post("/charge", key, charge_42)));
        CHECK(scene.client.post("/charge", key, charge_43).result_int() == 422);
        charge_scene neighbour(style, {"--store", url});
        CHECK(neighbour.client.post("/charge", key, charge_42).body() == first);
        CHECK(neighbour.charged() == 0);
        scene.server.send_signal(SIGKILL);
        scene.server.wait();
    }
    charge_scene successor(style, {"--store", url});
    auto const replay = successor.client.post("/charge", key, charge_42);
    CHECK(is_replay(replay));
    CHECK(replay.body() == first);
    CHECK(successor.charged() == 0);
}

TEST_CASE("charge_server on PostgreSQL: while the server is away nothing is charged, and then it goes on") {
    auto const style = each_style();
    CAPTURE(style);
    postgres_server server;
    charge_scene scene(style, {"--store", url_of(server)});
    CHECK(scene.client.post("/charge", "before", charge_42).result_int() == 201);
    server.kill();
    auto const refused = scene.client.post("/charge", "during", charge_42);
    CHECK(refused.result_int() == 503);
    CHECK(refused[http::field::retry_after] == "1");
    CHECK(scene.charged() == 1);
    server.start();
    poll_until([&] { return scene.client.post("/charge", "during", charge_42).result_int() == 201; });
    CHECK(is_replay(scene.client.post("/charge", "before", charge_42)));
    CHECK(scene.charged() == 2);
}
