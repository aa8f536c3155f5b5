// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include "support/charge_scene.hpp"
#include "support/redis_server.hpp"

#include <fstream>
#include <string>
#include <string_view>

using namespace idempo::tests;

namespace {

field_list const as_mia{{"X-User", "mia"}};

/// A file with a secret, which goes with the server's directory.
std::string secret_file(redis_server const& server, std::string const& name, std::string const& secret) {
    auto path = server.directory() + '/' + name;
    std::ofstream(path) << secret << '\n';
    return path;
}

/// Whether the charge under this key is answered by what the release before has stored.
bool is_replayed_by(charge_scene& server, std::string_view key) {
    return is_replay(server.client.post("/charge", std::string(key), charge_42, as_mia));
}

}  // namespace

TEST_CASE("charge_server: --previous-scope finds the charges of the release before") {
    redis_server redis;
    charge_scene before("awaitable", {"--store", redis.url(), "--scope", "single"});
    CHECK_FALSE(is_replayed_by(before, "a"));

    charge_scene forgetful("awaitable", {"--store", redis.url(), "--scope", "header:X-User"});
    charge_scene after("awaitable", {"--store", redis.url(), "--scope", "header:X-User", "--previous-scope", "single"});
    CHECK(is_replayed_by(after, "a"));
    CHECK_FALSE(is_replayed_by(forgetful, "a"));
}

TEST_CASE("charge_server: --digest-key-file is introduced and rotated without a second charge") {
    redis_server redis;
    auto const first = secret_file(redis, "first", std::string(32, '1'));
    auto const second = secret_file(redis, "second", std::string(32, '2'));

    charge_scene without("awaitable", {"--store", redis.url()});
    CHECK_FALSE(is_replayed_by(without, "a"));
    charge_scene introduced("awaitable",
                            {"--store", redis.url(), "--digest-key-file", first, "--previous-without-digest-key"});
    CHECK(is_replayed_by(introduced, "a"));
    CHECK_FALSE(is_replayed_by(introduced, "b"));
    charge_scene rotated("awaitable",
                         {"--store", redis.url(), "--digest-key-file", second, "--digest-key-file", first});
    CHECK(is_replayed_by(rotated, "b"));
    CHECK_FALSE(is_replayed_by(rotated, "c"));
    charge_scene back("awaitable",
                      {"--store", redis.url(), "--digest-key-file", first, "--previous-digest-key-file", second});
    CHECK(is_replayed_by(back, "c"));
}
