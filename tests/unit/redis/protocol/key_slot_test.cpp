// SPDX-License-Identifier: MIT
#include <idempo/redis/protocol/key_slot.hpp>

#include "support/catch.hpp"
#include <idempo/redis/operations/operations.hpp>

#include <idempo/identifiers.hpp>

#include <cstddef>
#include <random>
#include <vector>

using namespace idempo::redis;

TEST_CASE("key_slot: equals the slots of Redis") {
    // The check value of CRC-16/XMODEM, and CLUSTER KEYSLOT of Redis 7.0.15.
    CHECK(key_slot("123456789") == 0x31C3);
    CHECK(key_slot("a") == 15495);
    CHECK(key_slot("k13535") == 5461);
    CHECK(key_slot("foo123") == 13490);
    CHECK(key_slot("") == 0);
}

TEST_CASE("key_slot: our keys are spread over all slots") {
    std::vector<std::size_t> keys(slot_count);
    constexpr std::size_t each = 4;
    std::minstd_rand random(1);
    for (std::size_t number = 0; number < each * slot_count; ++number) {
        idempo::store_key key;
        for (auto& byte : key.bytes) byte = static_cast<unsigned char>(random() >> 8U);
        ++keys[key_slot(redis_key("idempo:", key))];
    }
    std::size_t empty = 0;
    for (auto const count : keys) empty += count == 0 ? 1 : 0;
    CHECK(empty < slot_count / 20);  // 1.8 % of them would be by chance
}
