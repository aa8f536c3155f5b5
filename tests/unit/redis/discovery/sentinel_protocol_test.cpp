// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include <idempo/redis/discovery/sentinel_protocol.hpp>
#include <idempo/redis/url.hpp>

#include <chrono>
#include <initializer_list>
#include <string>
#include <string_view>

using namespace idempo::redis;
using idempo::redis_endpoint;
using idempo::redis_problem;
using kind = idempo::redis::sentinel_news::kind;

namespace {

/// An array of strings, as commands are, too.
std::string array(std::initializer_list<std::string_view> words) {
    std::string bytes;
    append_command(bytes, words);
    return bytes;
}

/// What `use` makes of the bytes of one reply.
template <class Use>
auto reading_of(std::string const& bytes, Use use) {
    reply_reader reader;
    reader.feed(bytes);
    auto const found = reader.next();
    REQUIRE(found);
    return use(reply_view(found.get()));
}

sentinel_news news(std::string const& bytes) {
    return reading_of(bytes, [](reply_view message) { return read_news(message, "charges"); });
}

sentinel_news told(std::string_view payload) { return news(array({"message", "+switch-master", payload})); }

idempo::redis_options three_sentinels() {
    return idempo::parse_redis_url(
        "redis+sentinel://one,two:7000,three/charges?sentinel_user=who&sentinel_password=secret");
}

}  // namespace

TEST_CASE("redis sentinel: all sentinels are asked, beginning with any of them, each with its share of the time") {
    sentinel_group const group(*three_sentinels().sentinels, std::chrono::seconds{1});
    auto const asked = where_is_primary(group, 4, 3);
    REQUIRE(asked.servers.size() == 3);
    CHECK(asked.servers[0] == redis_endpoint{"two", 7000});
    CHECK(asked.servers[1] == redis_endpoint{"three", 26379});
    CHECK(asked.servers[2] == redis_endpoint{"one", 26379});
    CHECK(asked.words.back() == "charges");
    CHECK(asked.user == "who");
    CHECK(asked.password == "secret");
    CHECK_FALSE(asked.tls);
    CHECK(asked.timeout == std::chrono::milliseconds{250});  // the fourth is the primary's
}

TEST_CASE("redis sentinel: the answer is a host and a port") {
    auto const primary_in = [](std::string const& bytes) { return reading_of(bytes, read_primary); };
    CHECK(primary_in(array({"10.0.0.1", "6379"})) == redis_endpoint{"10.0.0.1", 6379});
    CHECK(primary_in(array({"redis.internal", "1"})) == redis_endpoint{"redis.internal", 1});
    for (auto const* malformed : {"*-1\r\n", "*0\r\n", "+OK\r\n", ":1\r\n", "-ERR x y\r\n"}) {
        CAPTURE(malformed);
        CHECK_FALSE(primary_in(malformed));
    }
    CHECK_FALSE(primary_in(array({"", "6379"})));
    CHECK_FALSE(primary_in(array({"host", "0"})));
    CHECK_FALSE(primary_in(array({"host", "65536"})));
    CHECK_FALSE(primary_in(array({"host", "63x"})));
    CHECK_FALSE(primary_in(array({"host", "6379", "6380"})));
}

TEST_CASE("redis sentinel: why there is no answer") {
    auto const problem_in = [](std::string const& bytes) { return reading_of(bytes, problem_of); };
    CHECK(problem_in("*-1\r\n") == redis_problem::unknown_primary);
    CHECK(problem_in("-ERR unknown command 'SENTINEL'\r\n") == redis_problem::unknown_primary);
    CHECK(problem_in("-NOAUTH Authentication required.\r\n") == redis_problem::not_permitted);
    CHECK(problem_in("-WRONGPASS invalid username-password pair\r\n") == redis_problem::not_permitted);
    CHECK(problem_in("-NOPERM this user has no permissions\r\n") == redis_problem::not_permitted);
    CHECK(problem_in("-ERR AUTH <password> called without any password configured\r\n") ==
          redis_problem::not_permitted);
}

TEST_CASE("redis sentinel: a subscription begins with the login") {
    auto options = *three_sentinels().sentinels;
    CHECK(subscription(options) ==
          array({"AUTH", "who", "secret"}) + array({"SUBSCRIBE", "+promoted-slave", "+switch-master"}));
    options.user.clear();
    CHECK(subscription(options) ==
          array({"AUTH", "secret"}) + array({"SUBSCRIBE", "+promoted-slave", "+switch-master"}));
    options.password.clear();
    CHECK(subscription(options) == array({"SUBSCRIBE", "+promoted-slave", "+switch-master"}));
}

TEST_CASE("redis sentinel: news of our primary is told, that of others is not") {
    CHECK(news("+OK\r\n").what == kind::nothing);
    CHECK(news("*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n").what == kind::subscribed);
    CHECK(news(array({"pong", ""})).what == kind::nothing);
    auto const moved = told("charges 10.0.0.1 6379 redis-2.internal 6380");
    CHECK(moved.what == kind::moved);
    CHECK(moved.primary == redis_endpoint{"redis-2.internal", 6380});
    CHECK(news("*3\r\n$9\r\nsubscribe\r\n$15\r\n+promoted-slave\r\n:1\r\n").what == kind::nothing);
    auto const promotion = [](std::string_view payload) {
        return news(array({"message", "+promoted-slave", payload})).what;
    };
    CHECK(promotion("slave 10.0.0.2:6379 10.0.0.2 6379 @ charges 10.0.0.1 6379") == kind::promoted);
    CHECK(promotion("slave 10.0.0.2:6379 10.0.0.2 6379 @ orders 10.0.0.1 6379") == kind::nothing);
    CHECK(promotion("slave 10.0.0.2:6379 10.0.0.2 6379") == kind::malformed);
    CHECK(promotion("slave 10.0.0.2:6379 10.0.0.2 6379 @") == kind::malformed);
    CHECK(told("orders 10.0.0.1 6379 10.0.0.2 6379").what == kind::nothing);
}

TEST_CASE("redis sentinel: a malformed message ends the subscription") {
    for (auto const* payload : {"charges 10.0.0.1 6379 10.0.0.2", "charges 10.0.0.1 6379 10.0.0.2 0", "charges",
                                "charges 10.0.0.1 6379 10.0.0.2 6379 more", "charges 10.0.0.1 6379  6379"}) {
        CAPTURE(payload);
        CHECK(told(payload).what == kind::malformed);
    }
    for (auto const* bytes : {"-NOPERM no\r\n", ":1\r\n", "*-1\r\n", "*0\r\n", "$5\r\nhello\r\n"}) {
        CAPTURE(bytes);
        CHECK(news(bytes).what == kind::malformed);
    }
    CHECK(news(array({"message", "+sdown", "charges"})).what == kind::malformed);
    CHECK(news(array({"unsubscribe", "+switch-master", "0"})).what == kind::malformed);
}
