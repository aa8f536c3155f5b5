// SPDX-License-Identifier: MIT
#include "support/campaign.hpp"
#include "support/catch.hpp"
#include "support/http_client.hpp"
#include "support/poll_until.hpp"
#include "support/postgres_server.hpp"
#include "support/server_process.hpp"

#include <pqxx/connection>
#include <pqxx/transaction>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using namespace idempo::tests;

namespace {

struct answer {
    unsigned status = 0;
    std::string body;
    friend bool operator==(answer const&, answer const&) = default;
};

answer answer_of(text_response const& response) { return {response.result_int(), response.body()}; }

/// A database with four accounts of 1,000 each, and the flags of a server for it.
class bank {
public:
    bank() {
        server_process migration({"--migrate", "--store", url()}, IDEMPO_TRANSFER_SERVER);
        REQUIRE(migration.wait() == 0);
    }

    [[nodiscard]] std::string url() const { return "postgresql://idempo@/postgres?host=" + database_.directory(); }

    [[nodiscard]] std::string connection() const { return database_.connection(); }

    [[nodiscard]] std::vector<std::string> flags(std::uint16_t port, std::string const& failpoint = {}) const {
        std::vector<std::string> words{"--port", std::to_string(port), "--store", url()};
        if (!failpoint.empty()) words.insert(words.end(), {"--failpoint", failpoint});
        return words;
    }

    [[nodiscard]] std::string ask(std::string const& sql) const { return database_.ask(sql); }

private:
    postgres_server database_;
};

constexpr auto seed = std::uint32_t{20'261'122};

/// The same transfer for the same number.
std::string body_of(std::size_t number) {
    std::minstd_rand random(seed + static_cast<std::uint32_t>(number));
    auto const pick = [&](std::size_t below) { return static_cast<std::size_t>(random() / 7 % below); };
    auto const from = pick(4);
    auto const to = (from + 1 + pick(3)) % 4;
    auto const name = [](std::size_t account) { return std::string(1, static_cast<char>('a' + account)); };
    return R"({"from":")" + name(from) + R"(","to":")" + name(to) + R"(","amount":)" + std::to_string(1 + pick(20)) +
           "}";
}

/// Sends transfers one after the other, each until it is answered for good, as a patient client does.
class client {
public:
    client(std::uint16_t port, std::string name) : port_(port), name_(std::move(name)) {}

    void run(std::atomic<bool> const& stop) {
        for (std::size_t number = 0; !stop; ++number) final_.emplace_back(send(number));
    }

    [[nodiscard]] std::string key(std::size_t number) const { return name_ + "-" + std::to_string(number); }
    [[nodiscard]] std::vector<answer> const& final_answers() const { return final_; }

    static std::atomic<int> conflicts;
    static std::atomic<int> outages;

private:
    answer send(std::size_t number) {
        while (true) {
            if (auto const got = try_to_send(number)) return *got;
            std::this_thread::sleep_for(2ms);
        }
    }

    std::optional<answer> try_to_send(std::size_t number) {
        try {
            if (!connection_) connection_.emplace(port_);
            auto const response = connection_->post("/transfers", key(number), body_of(number));
            if (response.result_int() == 409) ++conflicts;
            if (response.result_int() == 409 || response.result_int() >= 500) return std::nullopt;
            return answer_of(response);
        } catch (std::exception const&) {  // the server has been killed
            connection_.reset();
            ++outages;
            return std::nullopt;
        }
    }

    std::uint16_t port_;
    std::string name_;
    std::optional<http_client> connection_;
    std::vector<answer> final_;
};

std::atomic<int> client::conflicts{0};
std::atomic<int> client::outages{0};

std::uint16_t free_port(bank const& bank) { return server_process(bank.flags(0), IDEMPO_TRANSFER_SERVER).port(); }

}  // namespace

TEST_CASE("transfer_server: killed at each failpoint, each transfer happens once, and is answered as it is stored") {
    constexpr std::array<char const*, 5> points{"after_lock", "in_handler", "before_insert", "before_commit",
                                                "after_commit"};
    auto const cycles = campaign_cycles(40);
    INFO("seed " << seed);
    client::conflicts = 0;
    client::outages = 0;
    bank bank;
    auto const port = free_port(bank);

    // Two of each name: retries that overlap with the request, of a client that does not wait for its answer.
    std::list<client> clients;
    for (auto const* const name : {"one", "one", "two", "two", "three", "three"}) clients.emplace_back(port, name);
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (auto& each : clients) threads.emplace_back([&] { each.run(stop); });

    std::minstd_rand random(seed);
    for (int cycle = 0; cycle < cycles; ++cycle) {
        std::string const point = points[static_cast<std::size_t>(cycle) % points.size()];
        auto const count = std::to_string(1 + random() / 7 % 8);
        // On a busy machine one may give up on the database before it has begun: it is not the one that was to be
        // killed.
        poll_until([&] {
            server_process server(bank.flags(port, point + ":" + count), IDEMPO_TRANSFER_SERVER);
            return server.wait() == 128 + SIGKILL;
        });
    }

    server_process server(bank.flags(port), IDEMPO_TRANSFER_SERVER);
    REQUIRE(server.port() == port);
    std::this_thread::sleep_for(100ms);
    stop = true;
    for (auto& each : threads) each.join();

    CHECK(client::conflicts > 0);
    CHECK(client::outages >= cycles);

    std::map<std::string, std::pair<std::size_t, answer>> final_answers;
    for (auto const& each : clients) {
        for (std::size_t number = 0; number < each.final_answers().size(); ++number) {
            auto const& got = each.final_answers()[number];
            auto const [known, is_new] = final_answers.try_emplace(each.key(number), number, got);
            if (!is_new) CHECK(known->second.second == got);
        }
    }
    int moved = 0;
    http_client connection(port);
    for (auto const& [key, final] : final_answers) {
        if (final.second.status == 201) ++moved;
        auto const again = connection.post("/transfers", key, body_of(final.first));
        CHECK(is_replay(again));
        CHECK(answer_of(again) == final.second);
    }
    CHECK(moved > cycles);
    CHECK(bank.ask("SELECT sum(balance) FROM accounts") == "4000");
    CHECK(bank.ask("SELECT count(*) FROM transfers") == std::to_string(moved));
    CHECK(bank.ask("SELECT count(*) FROM idempo_records") == std::to_string(final_answers.size()));
    CHECK(bank.ask("SELECT count(*) FROM idempo_records WHERE response IS NULL") == "0");
    WARN(cycles << " kills, " << moved << " transfers, " << client::conflicts << " conflicts, " << client::outages
                << " lost answers");
}

TEST_CASE("transfer_server: of two processes on one database one executes, of a thousand identical requests") {
    constexpr std::size_t requests = 1000;
    constexpr std::size_t senders = 8;
    auto const rounds = campaign_cycles(2);
    bank bank;
    server_process const one(bank.flags(0), IDEMPO_TRANSFER_SERVER);
    server_process const other(bank.flags(0), IDEMPO_TRANSFER_SERVER);
    std::size_t conflicts = 0;
    std::size_t replays = 0;
    for (int round = 0; round < rounds; ++round) {
        auto const key = "round-" + std::to_string(round);
        std::mutex mutex;
        std::map<std::string, std::size_t> seen;
        std::vector<std::thread> threads;
        for (std::size_t sender = 0; sender < senders; ++sender) {
            threads.emplace_back([&, sender] {
                http_client client(sender % 2 == 0 ? one.port() : other.port());
                for (std::size_t sent = 0; sent < requests / senders; ++sent) {
                    auto const response = client.post("/transfers", key, R"({"from":"a","to":"b","amount":1})");
                    std::lock_guard const lock(mutex);
                    ++seen[std::to_string(response.result_int()) + (is_replay(response) ? " replayed" : "")];
                }
            });
        }
        for (auto& thread : threads) thread.join();
        CHECK(seen["201"] == 1);
        CHECK(seen["201"] + seen["201 replayed"] + seen["409"] == requests);
        conflicts += seen["409"];
        replays += seen["201 replayed"];
    }
    CHECK(conflicts > 0);
    CHECK(replays > 0);
    CHECK(bank.ask("SELECT count(*) FROM transfers") == std::to_string(rounds));
    CHECK(bank.ask("SELECT balance FROM accounts WHERE name = 'b'") == std::to_string(1000 + rounds));
}

TEST_CASE("transfer_server: a client that is gone finds its transfer made once") {
    bank bank;
    server_process const server(bank.flags(0), IDEMPO_TRANSFER_SERVER);
    constexpr auto body = R"({"from":"a","to":"b","amount":5})";
    // The handler waits for the account for as long as we have it.
    pqxx::connection rival(bank.connection());
    pqxx::work holding(rival);
    holding.exec("SELECT 1 FROM accounts WHERE name = 'a' FOR UPDATE");
    http_client gone(server.port());
    gone.send(make_post("/transfers", "gone", body));
    poll_until([&] { return bank.ask(count_of_lock_waits) == "1"; });
    gone.reset();
    holding.commit();

    poll_until([&] { return bank.ask("SELECT count(*) FROM transfers") == "1"; });
    http_client client(server.port());
    CHECK(is_replay(client.post("/transfers", "gone", body)));
    CHECK(bank.ask("SELECT balance FROM accounts WHERE name = 'b'") == "1005");
}

TEST_CASE("transfer_server: told to stop, it answers what it has begun, and ends") {
    bank bank;
    std::vector<std::string> flags = bank.flags(0);
    flags.emplace_back("--log");
    server_process server(flags, IDEMPO_TRANSFER_SERVER);
    http_client idle(server.port());
    http_client busy(server.port());
    pqxx::connection rival(bank.connection());
    pqxx::work holding(rival);
    holding.exec("SELECT 1 FROM accounts WHERE name = 'a' FOR UPDATE");
    busy.send(make_post("/transfers", "begun", R"({"from":"a","to":"b","amount":5})"));
    poll_until([&] { return bank.ask(count_of_lock_waits) == "1"; });
    server.send_signal(SIGTERM);
    poll_until([&] {
        try {
            http_client const refused(server.port());
            return false;
        } catch (std::exception const&) {
            return true;
        }
    });
    CHECK(idle.is_closed());
    holding.commit();
    CHECK(busy.receive().result_int() == 201);
    CHECK(server.wait() == 0);
    CHECK(bank.ask("SELECT balance FROM accounts WHERE name = 'b'") == "1005");
    CHECK(server.errors().find("executed") != std::string::npos);
}

TEST_CASE("transfer_server: its responses") {
    bank bank;
    server_process const server(bank.flags(0), IDEMPO_TRANSFER_SERVER);
    http_client client(server.port());
    auto const post = [&](std::string const& key, std::string const& body) {
        return client.post("/transfers", key, body).result_int();
    };
    CHECK(post("", R"({"from":"a","to":"b","amount":1})") == 400);
    CHECK(post("nonsense", "{}") == 400);
    CHECK(post("same", R"({"from":"a","to":"a","amount":1})") == 400);
    CHECK(post("negative", R"({"from":"a","to":"b","amount":-1})") == 400);
    CHECK(post("unknown", R"({"from":"a","to":"z","amount":1})") == 404);
    CHECK(post("poor", R"({"from":"a","to":"b","amount":1001})") == 402);
    CHECK(post("good", R"({"from":"a","to":"b","amount":1000})") == 201);
    CHECK(post("good", R"({"from":"a","to":"b","amount":1})") == 422);
    CHECK(client.get("/accounts").body() == R"({"accounts":[{"balance":0,"name":"a"},{"balance":2000,"name":"b"},)"
                                            R"({"balance":1000,"name":"c"},{"balance":1000,"name":"d"}]})");
}

TEST_CASE("transfer_server: keyed requests to wrong addresses leave no record") {
    bank bank;
    server_process const server(bank.flags(0), IDEMPO_TRANSFER_SERVER);
    http_client client(server.port());
    std::string const body = R"({"from":"a","to":"b","amount":1})";
    CHECK(client.post("/no-such-path", "moved", body).result_int() == 404);
    CHECK(client.post("/accounts", "moved", body).result_int() == 405);
    CHECK(bank.ask("SELECT count(*) FROM idempo_records") == "0");
    CHECK(client.post("/transfers", "moved", body).result_int() == 201);
    // A handler's own 404 is stored.
    CHECK(client.post("/transfers", "unknown", R"({"from":"a","to":"z","amount":1})").result_int() == 404);
    CHECK(bank.ask("SELECT count(*) FROM idempo_records") == "2");
}

TEST_CASE("transfer_server: a database that is not prepared, or a wrong flag, is exit 2") {
    postgres_server const database;
    database.ask("DROP TABLE idempo_records_migrations");
    auto const url = "postgresql://idempo@/postgres?host=" + database.directory();
    server_process unprepared({"--store", url}, IDEMPO_TRANSFER_SERVER);
    CHECK(unprepared.wait() == 2);
    CHECK(unprepared.errors().find("--migrate") != std::string::npos);
    server_process no_such_point({"--store", url, "--failpoint", "somewhere"}, IDEMPO_TRANSFER_SERVER);
    CHECK(no_such_point.wait() == 2);
}
