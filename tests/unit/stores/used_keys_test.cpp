// SPDX-License-Identifier: MIT
#include <idempo/stores/used_keys.hpp>

#include "support/catch.hpp"

#include <idempo/identifiers.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>

using namespace std::chrono_literals;
using idempo::store_key;
using idempo::detail::time_point;
using idempo::detail::used_keys;

namespace {

store_key key_number(std::uint64_t number) {
    store_key key;
    std::mt19937_64 random(number);
    for (auto& byte : key.bytes) byte = static_cast<unsigned char>(random());
    return key;
}

}  // namespace

TEST_CASE("used_keys: a mark takes 40 bytes at most, however many there are") {
    used_keys marks;
    time_point const now{1h};
    for (std::uint64_t number = 0; number < 20'000; ++number) {
        REQUIRE(marks.insert(key_number(number), now + 1h, now));
        if (marks.size() > 10) REQUIRE(marks.allocated_bytes() <= marks.size() * used_keys::bytes_each);
    }
    CHECK(marks.size() == 20'000);
}

TEST_CASE("used_keys: does what a map does, whatever comes, and gives room back") {
    auto const seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    auto const below = [&](std::uint64_t limit) { return random() % limit; };
    used_keys marks;
    std::map<std::uint64_t, time_point> model;
    time_point now{1h};
    std::size_t found = 0;
    std::size_t freed = 0;
    for (int i = 0; i < 200'000; ++i) {
        auto const number = below(500);
        auto const key = key_number(number);
        auto const known = model.find(number);
        bool const lasts = known != model.end() && known->second > now;
        switch (below(8)) {
        case 0:
        case 1:
        case 2: {
            auto const until = now + std::chrono::milliseconds(below(40));
            REQUIRE(marks.insert(key, until, now));
            model[number] = lasts ? std::max(known->second, until) : until;
            break;
        }
        case 3:
            REQUIRE(marks.erase(key, now) == lasts);
            model.erase(number);
            break;
        case 4: freed += marks.reclaim(now, 1 + below(20)); break;
        case 5: now += 1ms; break;
        default: REQUIRE(marks.contains(key, now) == lasts); found += lasts ? 1 : 0;
        }
    }
    CHECK(found > 1000);
    CHECK(freed > 1000);
    now += 1h;
    while (marks.reclaim(now, 16) > 0) {
    }
    CHECK(marks.size() == 0);
}
