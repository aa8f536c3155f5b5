// SPDX-License-Identifier: MIT
#include <idempo/redis/operations/scan_operation.hpp>

#include "support/catch.hpp"

#include <idempo/identifiers.hpp>
#include <idempo/redis/operations/listing.hpp>
#include <idempo/redis/operations/operations.hpp>
#include <idempo/redis/protocol/key_slot.hpp>

#include <string>

using namespace idempo::redis;

TEST_CASE("redis: a listing's pattern matches its prefix and nothing else", "[scan]") {
    CHECK(pattern_of_prefix("idempo:") == "idempo:*");
    CHECK(pattern_of_prefix("a*b?[c]\\") == "a\\*b\\?\\[c\\]\\\\*");
    CHECK(pattern_of_prefix("") == "*");
}

TEST_CASE("redis: the store key is read back from a key of ours, and from no other", "[scan]") {
    idempo::store_key key;
    key.bytes = {1, 0xAB, 0xFF};
    CHECK(key_in(redis_key("idempo:", key), "idempo:") == key);
    CHECK_FALSE(key_in(redis_key("other:", key), "idempo:"));
    CHECK_FALSE(key_in("idempo:", "idempo:"));
    CHECK_FALSE(key_in("idempo:client:" + std::string(57, '0'), "idempo:"));
    CHECK_FALSE(key_in("idempo:" + std::string(64, 'G'), "idempo:"));
    CHECK_FALSE(key_in(redis_key("idempo:", key) + "0", "idempo:"));
}

TEST_CASE("redis: a listing's cursor is read back, and no other text is one", "[scan]") {
    auto const at = read_cursor(write_cursor({.slot = 16383, .cursor = 18446744073709551615U}));
    REQUIRE(at);
    CHECK(at->slot == 16383);
    CHECK(at->cursor == 18446744073709551615U);
    CHECK(read_cursor("")->slot == 0);
    for (auto const* wrong :
         {"0", ":", "0:", ":0", "0:1x", "16384:0", "-1:0", "0:-1", "0:18446744073709551616", " 0:0"}) {
        INFO(wrong);
        CHECK_FALSE(read_cursor(wrong));
    }
}
