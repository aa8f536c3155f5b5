// SPDX-License-Identifier: MIT

// The built program on real servers, and the commands of docs/runbook.md.

#include "support/catch.hpp"
#include "support/postgres_server.hpp"
#include "support/redis_cluster.hpp"
#include "support/redis_server.hpp"
#include "support/temporary_server.hpp"
#include "support/tool_process.hpp"

#include <idempo/key.hpp>
#include <idempo/postgres/scheme.hpp>
#include <idempo/record/stored_response.hpp>
#include <idempo/redis/scheme.hpp>
#include <idempo/stores/blocking.hpp>
#include <idempo/stores/open_store.hpp>
#include <idempo/stores/sealed.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace idempo::tests;

bool contains(std::string const& text, std::string_view part) { return text.find(part) != std::string::npos; }

std::string url_of(postgres_server const& server, std::string const& user = "idempo") {
    return "postgresql://" + user + "@/postgres?host=" + server.directory();
}

/// A store as a service left it, and the program beside it.
class service {
public:
    explicit service(std::string url, idempo::seal_options const& seal = {})
        : url_(std::move(url)),
          store_([&](boost::asio::any_io_executor executor) {
              auto opened =
                  idempo::open_store(std::move(executor), url_, idempo::redis_scheme{}, idempo::postgres_scheme{});
              return seal.keys.empty() ? opened : idempo::any_store(idempo::sealed(std::move(opened), seal));
          }) {}

    template <class Call>
    static auto checked(Call call) {
        idempo::error_code error;
        auto result = call(error);
        if (error) throw boost::system::system_error(error);
        return result;
    }

    static idempo::store_key key_of(std::string const& key) { return idempo::make_store_key("charges", "acct_7", key); }

    idempo::fencing_token claim(std::string const& key, std::chrono::milliseconds lease) {
        auto const by = idempo::make_fencing_token();
        checked([&](auto& error) { return store_.claim({key_of(key), {{1}}, by, lease, 1h}, error); });
        return by;
    }

    /// Its process has died.
    void leave(std::string const& key) { claim(key, 0ms); }

    void complete(std::string const& key, std::string const& body) {
        namespace http = boost::beast::http;
        http::response<http::string_body> const answer(http::status::created, 11, body);
        auto const by = claim(key, 1h);
        auto const record = *idempo::make_record(answer, {});
        checked([&](auto& error) { return store_.complete({key_of(key), {{1}}, by, record, 1h}, error); });
    }

    void park(std::string const& key) {
        auto const by = claim(key, 1h);
        idempo::shared_bytes const reason(std::string_view("the bank did not answer"));
        checked([&](auto& error) { return store_.park({key_of(key), {{1}}, by, reason, 1h}, error); });
    }

    std::optional<idempo::record_info> look(std::string const& key) {
        return checked([&](auto& error) { return store_.peek(key_of(key), error); });
    }

    [[nodiscard]] tool_result ctl(std::string const& words, std::string const& variables = "A=1") const {
        return run_tool("IDEMPO_URL='" + url_ + "' " + variables, IDEMPO_IDEMPOCTL " " + words);
    }

private:
    std::string url_;
    idempo::blocking_store<idempo::any_store> store_;
};

std::string const of_service = " --namespace charges --scope acct_7 ";

std::ptrdiff_t lines_of(std::string const& text) { return std::count(text.begin(), text.end(), '\n'); }

/// All commands once, on any store.
void check_commands(service& with) {
    with.complete("full", "the answer");
    with.claim("live", 1h);
    for (auto const* key : {"dead", "dead2", "dead3"}) with.leave(key);
    with.park("held");
    with.park("held2");

    auto const check = with.ctl("check");
    INFO(check.output << check.errors);
    CHECK(check.exit_code == 0);
    CHECK(contains(with.ctl("stats").output, "records          7\n  in flight      4\n    lease ended  3\n"));
    CHECK(contains(with.ctl("list --state parked --json").output, "\"reason\":\"the bank did not answer\""));
    CHECK(lines_of(with.ctl("list --lease-ended --json").output) == 3);
    CHECK(lines_of(with.ctl("list --min-attempt 2 --json").output) == 0);
    CHECK(lines_of(with.ctl("list --state completed --min-attempt 1 --json").output) == 1);
    CHECK(lines_of(with.ctl("list --older-than 1d --json").output) == 0);

    auto const shown = with.ctl("show full" + of_service);
    CHECK(shown.exit_code == 0);
    CHECK(contains(shown.output, "status    201\n"));
    CHECK_FALSE(contains(shown.output, "the answer"));
    CHECK(contains(with.ctl("show full --body" + of_service).output, "the answer"));
    auto const digits = idempo::to_hex(service::key_of("full").view()).substr(0, 8);
    CHECK(contains(with.ctl("show --digest " + digits).output, "key       " + digits));
    CHECK(with.ctl("show none" + of_service).exit_code == 3);
    CHECK(with.ctl("show --digest 0123456789abcdef").exit_code == 3);

    CHECK(with.ctl("release live --yes" + of_service).exit_code == 4);
    CHECK(with.ctl("release dead" + of_service).exit_code == 4);  // nobody has confirmed
    CHECK(with.look("dead"));
    auto const released = with.ctl("release dead --yes" + of_service);
    CHECK(released.exit_code == 0);
    CHECK(contains(released.errors, "audit time="));
    auto const left = with.look("dead");
    CHECK((!left || left->attempt == 0));
    CHECK_FALSE(
        contains(with.ctl("list --lease-ended").output, idempo::to_hex(service::key_of("dead").view()).substr(0, 16)));

    CHECK(with.ctl("settle held --yes --status 201 --body '{}'" + of_service).exit_code == 0);
    CHECK(with.look("held")->state == idempo::record_state::completed);
    CHECK(with.ctl("hold dead2 --yes --reason 'look'" + of_service).exit_code == 0);
    CHECK(with.look("dead2")->state == idempo::record_state::parked);
    CHECK(with.ctl("hold dead3 --yes --attempt 5" + of_service).exit_code == 4);
    CHECK(with.ctl("forget live --yes" + of_service).exit_code == 4);
    CHECK(with.ctl("purge live --yes --force" + of_service).exit_code == 0);
    CHECK_FALSE(with.look("live"));
}

/// All keys that the pages of a list tell, a few at a time.
std::multiset<std::string> listed(service const& with) {
    std::multiset<std::string> keys;
    std::string after;
    while (true) {
        auto const page = with.ctl("list --json --limit 10" + (after.empty() ? "" : " --after " + after));
        REQUIRE(page.exit_code == 0);
        for (std::size_t at = 0; (at = page.output.find("{\"key\":\"", at)) != std::string::npos; ++at) {
            keys.insert(page.output.substr(at + 8, 64));
        }
        auto const next = page.errors.find("--after ");
        if (next == std::string::npos) return keys;
        after = page.errors.substr(next + 8, page.errors.find('\n', next) - next - 8);
    }
}

/// The commands in the page's blocks, in their order.
std::vector<std::string> runbook_commands() {
    std::vector<std::string> commands;
    auto const page = content_of(IDEMPO_RUNBOOK);
    for (std::size_t at = 0; (at = page.find("```sh\n", at)) != std::string::npos;) {
        at += 6;
        auto const end = page.find("```", at);
        commands.push_back(page.substr(at, end - at));
        at = end;
    }
    return commands;
}

}  // namespace

TEST_CASE("idempoctl: every command does its work on Redis", "[idempoctl]") {
    redis_server const server;
    service with(server.url());
    check_commands(with);
    CHECK(contains(with.ctl("check").output, "no append-only file"));
    server.ask({"SET", "idempo:" + std::string(64, 'a'), "not a record"});
    CHECK(contains(with.ctl("list").errors, "1 values are no records"));
    CHECK(with.ctl("show --digest " + std::string(64, 'a')).exit_code == 1);
    server.ask({"CONFIG", "SET", "maxmemory-policy", "allkeys-lru"});
    CHECK(with.ctl("check").exit_code == 5);
}

TEST_CASE("idempoctl: every command does its work on PostgreSQL, which knows ages where it is told to", "[idempoctl]") {
    postgres_server const server({"track_commit_timestamp=on"});
    service with(url_of(server));
    check_commands(with);
    CHECK(contains(with.ctl("list --json --older-than 0s").output, "\"age_ms\":"));
    CHECK(contains(with.ctl("check").output, "ok    rights\n"));
}

TEST_CASE("idempoctl: sealed records are shown, held and settled with their key, and not without it", "[idempoctl]") {
    redis_server const redis({"--appendonly", "yes"});
    postgres_server const postgres;
    auto const directory = make_server_directory("seal");
    std::string const secret(32, 's');
    std::ofstream(directory + "/keys") << "2:" << std::string(32, 't') << "\n1:" << secret << '\n';
    std::ofstream(directory + "/others") << "1:" << std::string(32, 'o') << '\n';
    auto const with_key = "--seal-key-file " + directory + "/keys ";
    for (auto const& url : {redis.url(), url_of(postgres)}) {
        service with(url, {.keys = {{1, secret}, {2, std::string(32, 't')}}});
        with.complete("full", "the answer");
        auto const shown = with.ctl(with_key + "show full --body" + of_service);
        INFO(shown.output << shown.errors);
        CHECK(contains(shown.output, "status    201\n"));
        CHECK(contains(shown.output, "the answer"));
        CHECK(contains(with.ctl("show full --body" + of_service).output, "not readable here"));
        CHECK(contains(with.ctl("--seal-key-file " + directory + "/others show full" + of_service).output,
                       "not readable here"));

        with.park("held");
        CHECK(contains(with.ctl(with_key + "show held" + of_service).output, "the bank did not answer"));
        CHECK(with.ctl(with_key + "settle held --yes --status 201 --body settled" + of_service).exit_code == 0);
        CHECK(contains(with.ctl(with_key + "show held --body" + of_service).output, "settled"));
        CHECK_FALSE(contains(with.ctl("show held --body" + of_service).output, "settled"));
        with.leave("dead");
        CHECK(with.ctl(with_key + "hold dead --yes --reason 'asked the bank'" + of_service).exit_code == 0);
        CHECK(with.look("dead")->reason == "asked the bank");
        CHECK(contains(with.ctl(with_key + "list --state parked").output, "asked the bank"));
        CHECK(with.ctl(with_key + "stats").exit_code == 0);
        CHECK(with.ctl(with_key + "check").exit_code == 0);
    }
    std::filesystem::remove_all(directory);
}

TEST_CASE("idempoctl: pages of a list lead to each record", "[idempoctl]") {
    redis_server const redis;
    postgres_server const postgres;
    for (auto const& url : {redis.url(), url_of(postgres)}) {
        service with(url);
        std::set<std::string> made;
        for (int i = 0; i < 35; ++i) {
            auto const key = "k" + std::to_string(i);
            with.leave(key);
            made.insert(idempo::to_hex(service::key_of(key).view()));
        }
        auto const found = listed(with);
        CHECK(std::set<std::string>(found.begin(), found.end()) == made);
    }
}

TEST_CASE("idempoctl: a right that is missing has its name on PostgreSQL", "[idempoctl]") {
    postgres_server const server;
    server.ask("CREATE ROLE reader LOGIN");
    server.ask("GRANT SELECT ON idempo_records, idempo_records_migrations TO reader");
    service owner(url_of(server));
    owner.park("held");
    service const with(url_of(server, "reader"));
    CHECK(contains(with.ctl("list").output, "the bank did not answer"));
    auto const check = with.ctl("check");
    CHECK(check.exit_code == 5);
    CHECK(contains(check.output, "the role lacks INSERT on \"public\".\"idempo_records\""));
    auto const refused = with.ctl("release held --yes" + of_service);
    CHECK(refused.exit_code == 1);
    CHECK(contains(refused.errors, "the role lacks a right"));
    CHECK(owner.look("held"));
}

TEST_CASE("idempoctl: a wrong URL and a dead store have a sentence and an exit code", "[idempoctl]") {
    auto const of = [](std::string const& url) {
        return run_tool("IDEMPO_URL='" + url + "'", IDEMPO_IDEMPOCTL " stats");
    };
    CHECK(of("mysql://h").exit_code == 2);
    CHECK(of("memory:").exit_code == 2);
    CHECK(run_tool("A=1", "unset IDEMPO_URL; " IDEMPO_IDEMPOCTL " stats").exit_code == 2);
    auto const dead = of("redis://127.0.0.1:" + std::to_string(free_port()));
    CHECK(dead.exit_code == 1);
    CHECK_FALSE(dead.errors.empty());
    auto const nowhere = of("postgresql://idempo@/postgres?host=/nonexistent");
    CHECK(nowhere.exit_code == 1);
    CHECK(contains(nowhere.errors, "/nonexistent"));
}

TEST_CASE("idempoctl: each command of the runbook runs as it stands there", "[idempoctl]") {
    redis_server const redis({"--appendonly", "yes"});
    postgres_server const postgres;
    auto const commands = runbook_commands();
    CHECK(commands.size() == 13);
    for (auto const& url : {redis.url(), url_of(postgres)}) {
        service with(url);
        int number = 0;
        for (auto const& command : commands) {
            REQUIRE(command.find("idempoctl ") == 0);
            auto const key = "key-" + std::to_string(++number);
            if (contains(command, "hold ")) {
                with.leave(key);
            } else if (contains(command, "settle") || contains(command, "release")) {
                with.park(key);
            } else {
                with.complete(key, "the answer");
            }
            auto const digits = idempo::to_hex(service::key_of(key).view()).substr(0, 8);
            auto const words = command.substr(std::string_view("idempoctl ").size());
            auto const done = with.ctl("--yes " + words, "KEY=" + key + " DIGITS=" + digits);
            INFO(url << ": " << command << done.output << done.errors);
            CHECK(done.exit_code == 0);
        }
    }
}
