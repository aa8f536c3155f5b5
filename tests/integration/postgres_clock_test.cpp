// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/charge_scene.hpp"
#include "support/http_client.hpp"
#include "support/poll_until.hpp"
#include "support/postgres_server.hpp"
#include "support/requests.hpp"
#include "support/server_process.hpp"
#include "support/temporary_server.hpp"

#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

using namespace idempo::tests;

// Processes whose clocks are wrong share leases with one whose clock is right: only the database's clock judges.

namespace {

constexpr long hour = 3600;

/// For a shell, or for `env`: what makes a program take it to be so much later.
std::vector<std::string> shifted_by(long seconds) {
    // A sanitizer would rather be the first to be loaded.
    auto const* const options = std::getenv("ASAN_OPTIONS");
    return {"ASAN_OPTIONS=" + std::string(options != nullptr ? options : "") + ":verify_asan_link_order=0",
            "LD_PRELOAD=" IDEMPO_SHIFTED_CLOCK, "CLOCK_SHIFT_SECONDS=" + std::to_string(seconds)};
}

long shifted_time(long seconds) {
    std::string command = "env";
    for (auto const& word : shifted_by(seconds)) command += " '" + word + "'";
    return std::stol(output_of(command + " date +%s"));
}

/// A charge_server, and two clients of it.
struct shifted_server {
    shifted_server(long seconds, postgres_server const& database)
        : server(words(seconds, database), "/usr/bin/env"),
          client(server.port()),
          other_client(server.port()) {}

    static std::vector<std::string> words(long seconds, postgres_server const& database) {
        auto words = shifted_by(seconds);
        for (std::string const word : {IDEMPO_CHARGE_SERVER, "--port", "0", "--lease", "1s", "--store"}) {
            words.push_back(word);
        }
        words.push_back("postgresql://idempo@/postgres?host=" + database.directory());
        return words;
    }

    server_process server;
    http_client client;
    http_client other_client;
};

void wait_until_in_flight(postgres_server const& database, char const* count) {
    poll_until([&] { return database.ask("SELECT count(*) FROM idempo_records WHERE response IS NULL") == count; });
}

/// A request that is asked about until it is not in flight any more.
struct question {
    bool ask(http_client& client, text_request const& request) {
        answer = client.exchange(request);
        conflicts += answer.result_int() == 409;
        return answer.result_int() != 409;
    }

    text_response answer;
    std::size_t conflicts = 0;
};

}  // namespace

TEST_CASE("postgres: processes whose clocks are hours apart agree about leases") {
    REQUIRE(shifted_time(hour) - std::time(nullptr) > hour / 2);
    postgres_server const database;
    shifted_server early(-hour, database);
    shifted_server late(hour, database);

    // In flight for longer than a lease, which is renewed.
    auto const of_early = make_post("/charge?delay_ms=1300", "of-early", charge_42);
    auto const of_late = make_post("/charge?delay_ms=1300", "of-late", charge_42);
    early.client.send(of_early);
    late.client.send(of_late);
    wait_until_in_flight(database, "2");
    question about_early;
    question about_late;
    poll_until([&] {
        bool const is_settled = about_early.ask(late.other_client, of_early);
        return about_late.ask(early.other_client, of_late) && is_settled;
    });
    for (auto const* const each : {&about_early, &about_late}) {
        CHECK(each->conflicts > 0);
        CHECK(is_replay(each->answer));
    }
    CHECK(early.client.receive().body() == about_early.answer.body());
    CHECK(late.client.receive().body() == about_late.answer.body());

    // Taken over when the lease has ended, and not before.
    auto const killed = make_post("/charge?delay_ms=500", "killed", charge_42);
    early.client.send(killed);
    wait_until_in_flight(database, "1");
    early.server.send_signal(SIGKILL);
    question about_killed;
    poll_until([&] { return about_killed.ask(late.client, killed); });
    CHECK(about_killed.conflicts > 0);
    CHECK(about_killed.answer.result_int() == 201);
    CHECK(about_killed.answer.body().find("\"attempt\":2") != std::string::npos);
}
