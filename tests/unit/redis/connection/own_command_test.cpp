// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include <idempo/redis/connection/own_command.hpp>

#include <chrono>
#include <optional>
#include <string>

using namespace std::chrono_literals;
using namespace idempo::redis;

namespace {

template <class Read>
auto reading_of(std::string const& bytes, Read read) {
    reply_reader reader;
    reader.feed(bytes);
    auto const found = reader.next();
    REQUIRE(found);
    return read(reply_view(found.get()));
}

std::optional<bool> replicated(std::string const& bytes, idempo::redis_replica_wait const& wanted) {
    return reading_of(bytes, [&](reply_view answer) { return read_replica_wait(answer, wanted); });
}

}  // namespace

TEST_CASE("own_command: WAIT is answered by a number of replicas") {
    idempo::redis_replica_wait const wanted{.count = 2, .timeout = 100ms};
    std::string text;
    append_replica_wait(text, wanted);
    CHECK(text == "*3\r\n$4\r\nWAIT\r\n$1\r\n2\r\n$3\r\n100\r\n");
    CHECK(replicated(":2\r\n", wanted) == true);
    CHECK(replicated(":3\r\n", wanted) == true);
    CHECK(replicated(":1\r\n", wanted) == false);
    CHECK(replicated("-ERR no\r\n", wanted) == false);
    CHECK_FALSE(replicated(":-1\r\n", wanted));
    CHECK_FALSE(replicated("+OK\r\n", wanted));
    CHECK_FALSE(replicated("*2\r\n:1\r\n:2\r\n", wanted));
}

TEST_CASE("own_command: WAITAOF is answered by the disks of the server and of replicas") {
    idempo::redis_replica_wait const wanted{.count = 1, .timeout = 1500ms, .on_disk = true};
    std::string text;
    append_replica_wait(text, wanted);
    CHECK(text == "*4\r\n$7\r\nWAITAOF\r\n$1\r\n1\r\n$1\r\n1\r\n$4\r\n1500\r\n");
    CHECK(replicated("*2\r\n:1\r\n:1\r\n", wanted) == true);
    CHECK(replicated("*2\r\n:1\r\n:2\r\n", wanted) == true);
    CHECK(replicated("*2\r\n:0\r\n:1\r\n", wanted) == false);
    CHECK(replicated("*2\r\n:1\r\n:0\r\n", wanted) == false);
    CHECK(replicated("-ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.\r\n", wanted) ==
          false);
    CHECK_FALSE(replicated(":1\r\n", wanted));
    CHECK_FALSE(replicated("*1\r\n:1\r\n", wanted));
    CHECK_FALSE(replicated("*2\r\n:-1\r\n:1\r\n", wanted));
    CHECK_FALSE(replicated("*2\r\n+a\r\n:1\r\n", wanted));
    idempo::redis_replica_wait const alone{.count = 0, .timeout = 1500ms, .on_disk = true};
    CHECK(replicated("*2\r\n:1\r\n:0\r\n", alone) == true);
}

TEST_CASE("own_command: the reply to ASKING, and to a first step that no longer matters") {
    CHECK(reading_of("+OK\r\n", read_asking));
    CHECK(reading_of("-ERR no\r\n", read_asking));
    CHECK_FALSE(reading_of(":1\r\n", read_asking));
    CHECK(reading_of("$-1\r\n", read_superseded));
    CHECK(reading_of("$1\r\nx\r\n", read_superseded));
    CHECK(reading_of("-WRONGTYPE of a large record\r\n", read_superseded));
    CHECK_FALSE(reading_of("-READONLY no\r\n", read_superseded));
    CHECK_FALSE(reading_of(":1\r\n", read_superseded));
    CHECK_FALSE(reading_of("+OK\r\n", read_superseded));
}
