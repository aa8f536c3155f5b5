// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include <idempo/detail/backoff.hpp>
#include <idempo/redis/connection/handshake.hpp>
#include <idempo/redis/protocol/reply_error.hpp>

#include <idempo/error.hpp>

#include <chrono>
#include <string>

using namespace idempo::redis;
using idempo::redis_problem;
using idempo::detail::backoff;

namespace {

std::string const good_info = "# Server\r\nredis_version:7.0.15\r\n# Persistence\r\nloading:0\r\naof_enabled:1\r\n"
                              "# Memory\r\nmaxmemory_policy:noeviction\r\n# Replication\r\nrole:master\r\n";

std::string replaced(std::string text, std::string const& from, std::string const& to) {
    return text.replace(text.find(from), from.size(), to);
}

void receive(handshake& shaking, std::string const& bytes) {
    reply_reader reader;
    reader.feed(bytes);
    auto const found = reader.next();
    REQUIRE(found);
    shaking.receive(reply_view(found.get()));
}

std::string bulk(std::string const& text) { return '$' + std::to_string(text.size()) + "\r\n" + text + "\r\n"; }

}  // namespace

TEST_CASE("redis handshake: INFO is understood") {
    auto const server = read_info(good_info);
    CHECK(server.major == 7);
    CHECK(server.minor == 0);
    CHECK(server.patch == 15);
    CHECK(server.is_primary);
    CHECK_FALSE(server.is_loading);
    CHECK(server.has_append_only_file);
    CHECK(server.eviction_policy == "noeviction");
    CHECK(read_info("").major == 0);
    CHECK(read_info("redis_version:x\r\nredis_version").major == 0);
}

TEST_CASE("redis handshake: servers that a store must not use") {
    idempo::redis_options options;
    auto const judged = [&](std::string const& info) { return check_server(read_info(info), options); };
    CHECK(judged(good_info) == redis_problem::none);
    CHECK(judged(replaced(good_info, "7.0.15", "6.2.0")) == redis_problem::none);
    CHECK(judged(replaced(good_info, "7.0.15", "6.0.16")) == redis_problem::too_old);
    CHECK(judged(replaced(good_info, "role:master", "role:slave")) == redis_problem::not_ready);
    CHECK(judged(replaced(good_info, "loading:0", "loading:1")) == redis_problem::not_ready);
    for (auto const* policy : {"allkeys-lru", "volatile-ttl", "volatile-lru", ""}) {
        CHECK(judged(replaced(good_info, "noeviction", policy)) == redis_problem::evicts);
    }
    options.allow_eviction = true;
    CHECK(judged(replaced(good_info, "noeviction", "allkeys-lru")) == redis_problem::none);
    CHECK(judged("") == redis_problem::too_old);
}

TEST_CASE("redis handshake: only Redis 7 has SET with NX and GET") {
    CHECK(abilities_of(read_info(good_info)).set_nx_get);
    CHECK_FALSE(abilities_of(read_info(replaced(good_info, "7.0.15", "6.2.14"))).set_nx_get);
}

TEST_CASE("redis handshake: what is asked, and what it makes of the replies") {
    idempo::redis_options options;
    handshake plain(options);
    CHECK(plain.questions() == "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$6\r\nidempo\r\n*1\r\n$4\r\nINFO\r\n");
    receive(plain, "-NOPERM this user has no permissions to run the 'client|setname' command\r\n");
    CHECK_FALSE(plain.is_over());
    receive(plain, bulk(good_info));
    CHECK(plain.is_over());
    CHECK(plain.problem() == redis_problem::none);

    options.database = 3;
    options.client_name.clear();
    handshake full(options, {"u", "p"});
    CHECK(full.questions() == "*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"
                              "*1\r\n$4\r\nINFO\r\n");
    receive(full, "+OK\r\n");
    receive(full, "+OK\r\n");
    CHECK_FALSE(full.is_over());
    receive(full, bulk(good_info));
    CHECK(full.problem() == redis_problem::none);
}

TEST_CASE("redis handshake: refusals") {
    idempo::redis_options options;
    options.password = "p";
    auto const problem_after = [&](std::string const& bytes) {
        handshake shaking(options);
        receive(shaking, bytes);
        REQUIRE(shaking.is_over());
        return shaking.problem();
    };
    CHECK(problem_after("-WRONGPASS invalid username-password pair\r\n") == redis_problem::not_permitted);
    CHECK(problem_after("-ERR max number of clients reached\r\n") == redis_problem::not_permitted);
    CHECK(problem_after("-LOADING Redis is loading\r\n") == redis_problem::not_ready);
    CHECK(problem_after("+PONG\r\n") == redis_problem::wrong_protocol);
    CHECK(problem_after(":1\r\n") == redis_problem::wrong_protocol);
}

TEST_CASE("redis handshake: what a refusal says is kept, but not what it repeats of a secret") {
    idempo::redis_options options;
    options.password = "hunter2";
    auto const words_after = [&](std::string const& bytes) {
        handshake shaking(options);
        receive(shaking, bytes);
        return shaking.words();
    };
    CHECK(words_after("-ERR max number of clients reached\r\n") == "ERR max number of clients reached");
    CHECK(words_after("-WRONGPASS invalid username-password pair\r\n") == "WRONGPASS invalid username-password pair");
    CHECK(words_after("-ERR unknown command `AUTH`, with args beginning with: `hunter2`\r\n") ==
          "ERR unknown command `AUTH`");
    CHECK(words_after("-ERR hunter2 is no password\r\n").find("hunter2") == std::string::npos);
    CHECK(words_after("-ERR \x1b[31m" + std::string(1000, 'x') + "\r\n").size() == 200);
    CHECK(words_after("-ERR \x1b[31m\r\n") == "ERR ?[31m");
}

TEST_CASE("redis handshake: WAITAOF needs Redis 7.2") {
    idempo::redis_options options;
    options.wait_replicas.on_disk = true;
    CHECK(check_server(read_info(good_info), options) == redis_problem::too_old);
    CHECK(check_server(read_info(replaced(good_info, "7.0.15", "7.2.0")), options) == redis_problem::none);
}

TEST_CASE("redis errors: what they mean") {
    CHECK(meaning_of("NOSCRIPT No matching script. Please use EVAL.") == error_meaning::script_unknown);
    CHECK(meaning_of("OOM command not allowed when used memory > 'maxmemory'. script: x") == error_meaning::full);
    CHECK(meaning_of("ERR Error running script (call to f_x): @user_script:5: @user_script: 5: -OOM command not "
                     "allowed when used memory > 'maxmemory'.") == error_meaning::full);
    CHECK(meaning_of("WRONGTYPE Operation against a key holding the wrong kind of value") ==
          error_meaning::foreign_value);
    for (auto const* text : {"READONLY You can't write against a read only replica.", "LOADING Redis is loading",
                             "MASTERDOWN Link with MASTER is down", "NOAUTH Authentication required."}) {
        CHECK(meaning_of(text) == error_meaning::wrong_server);
    }
    for (auto const* text : {"NOREPLICAS Not enough good replicas to write.", "BUSY Redis is busy", "NOPERM no",
                             "MISCONF errors", "ERR unknown", "CLUSTERDOWN The cluster is down", "MOVED 1 a:1", "",
                             "ERR Error running script (call to f_x): something else"}) {
        CHECK(meaning_of(text) == error_meaning::unavailable);
    }
    CHECK(code_of(error_meaning::full) == idempo::error::store_full);
    CHECK(code_of(error_meaning::foreign_value) == idempo::error::record_unreadable);
    CHECK(code_of(error_meaning::unavailable) == idempo::error::store_unavailable);
}

TEST_CASE("redis backoff: pauses grow, within their bounds, and differ from client to client") {
    backoff one(1);
    backoff other(2);
    auto last = backoff::shortest;
    bool differs = false;
    auto total = std::chrono::milliseconds::zero();
    for (int attempt = 0; attempt < 1000; ++attempt) {
        auto const pause = one.next();
        differs = differs || pause != other.next();
        CHECK(pause >= backoff::shortest);
        CHECK(pause <= std::min(3 * last, backoff::longest));
        last = pause;
        total += pause;
    }
    CHECK(differs);
    CHECK(total / 1000 > backoff::longest / 2);
    one.reset();
    CHECK(one.next() <= 3 * backoff::shortest);
}
