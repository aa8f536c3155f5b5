// SPDX-License-Identifier: MIT
#include <idempo/stores/memory_store.hpp>

#include "contract/model_store.hpp"
#include "support/catch.hpp"
#include "support/manual_clock.hpp"
#include "support/resident_memory.hpp"

#include <idempo/error.hpp>
#include <idempo/identifiers.hpp>
#include <idempo/shared_bytes.hpp>
#include <idempo/store.hpp>

#include <boost/system/system_error.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <variant>
#include <vector>

using namespace std::chrono_literals;
using idempo::claim_request;
using idempo::claim_result;
using idempo::complete_result;
using idempo::error_code;
using idempo::fencing_token;
using idempo::memory_store;
using idempo::store_key;
using idempo::tests::manual_clock;
using idempo::tests::model_store;
using idempo::tests::resident_bytes;
using milliseconds = std::chrono::milliseconds;

namespace {

constexpr idempo::fingerprint print{{1}};
constexpr idempo::fingerprint other_print{{2}};
constexpr fencing_token alice{{1}};
constexpr fencing_token bob{{2}};
constexpr auto small_record = memory_store::record_overhead + idempo::small_record_bytes;

/// A sanitizer has a shadow for all memory.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool is_instrumented = true;
#else
constexpr bool is_instrumented = false;
#endif

store_key key_number(std::uint64_t number) {
    store_key key;
    std::mt19937_64 random(number);
    for (auto& byte : key.bytes) byte = static_cast<unsigned char>(random());
    return key;
}

claim_result claim(memory_store store, store_key const& key, fencing_token const& by, milliseconds lease,
                   milliseconds retention) {
    error_code ec;
    auto result = store.claim({key, print, by, lease, retention}, ec);
    if (ec) throw boost::system::system_error(ec);
    return result;
}

complete_result complete(memory_store store, store_key const& key, fencing_token const& by, std::size_t bytes,
                         milliseconds retention) {
    error_code ec;
    auto result = store.complete({key, print, by, idempo::shared_bytes(std::string(bytes, 'r')), retention}, ec);
    if (ec) throw boost::system::system_error(ec);
    return result;
}

error_code claim_error(memory_store store, store_key const& key, milliseconds life) {
    error_code ec;
    static_cast<void>(store.claim({key, print, alice, life, 0ms}, ec));
    return ec;
}

bool is_granted(claim_result const& result, unsigned attempt = 1) {
    auto const* const grant = std::get_if<idempo::granted>(&result);
    return grant != nullptr && grant->attempt == attempt;
}

template <class Wanted, class Result>
bool is(Result const& result) {
    return std::holds_alternative<Wanted>(result);
}

}  // namespace

TEST_CASE("memory_store: refuses options that make no sense") {
    CHECK_THROWS_AS(memory_store({.max_records = 0}), std::invalid_argument);
    CHECK_THROWS_AS(memory_store({.max_bytes = small_record - 1}), std::invalid_argument);
    CHECK_NOTHROW(memory_store({.max_bytes = small_record}));
    for (std::size_t const shards : {0U, 3U, 65U}) {
        CHECK_THROWS_AS(memory_store({.shards = shards}), std::invalid_argument);
    }
    CHECK_NOTHROW(memory_store({.shards = 1}));
}

TEST_CASE("memory_store: counts records and bytes") {
    memory_store store;
    CHECK(store.size() == 0);
    CHECK(store.bytes() == 0);
    auto const key = key_number(1);
    claim(store, key, alice, 1s, 1s);
    claim(store, key, bob, 1s, 1s);
    CHECK(store.size() == 1);
    CHECK(store.bytes() == small_record);
    complete(store, key, alice, 10, 1s);
    CHECK(store.bytes() == small_record);
    complete(store, key_number(2), alice, 1000, 1s);
    CHECK(store.size() == 2);
    CHECK(store.bytes() == small_record + memory_store::record_overhead + 1000);
    error_code ec;
    CHECK(store.forget(key_number(2), ec));
    CHECK(store.forget(key, ec));
    CHECK(store.size() == 0);
    CHECK(store.bytes() == 0);
}

TEST_CASE("memory_store: is full at exactly max_records, in whichever shards they are") {
    auto const shards = GENERATE(std::size_t{1}, std::size_t{64});
    manual_clock clock;
    memory_store store({.max_records = 100, .clock = clock, .shards = shards});
    for (std::uint64_t i = 0; i < 100; ++i) CHECK(!claim_error(store, key_number(i), 1s));
    for (std::uint64_t i = 100; i < 200; ++i) CHECK(claim_error(store, key_number(i), 1s) == idempo::error::store_full);
    CHECK(store.size() == 100);

    // They expire all at once, most of them in other shards than the next claim's.
    clock.advance(1s);
    for (std::uint64_t i = 200; i < 300; ++i) CHECK(!claim_error(store, key_number(i), 1s));
    CHECK(claim_error(store, key_number(300), 1s) == idempo::error::store_full);
    CHECK(store.size() == 100);
}

TEST_CASE("memory_store: finds the one expired record among those of all shards") {
    manual_clock clock;
    memory_store store({.max_records = 100, .clock = clock});
    for (std::uint64_t i = 0; i < 99; ++i) claim(store, key_number(i), alice, 1h, 1h);
    for (std::uint64_t i = 99; i < 300; ++i) {
        CHECK(!claim_error(store, key_number(i), 1ms));
        CHECK(claim_error(store, key_number(1000), 1ms) == idempo::error::store_full);
        clock.advance(1ms);
    }
    for (std::uint64_t i = 0; i < 99; ++i) CHECK(is<idempo::in_flight>(claim(store, key_number(i), bob, 1h, 1h)));
}

TEST_CASE("memory_store: refuses a response that does not fit, and the record stays in flight") {
    manual_clock clock;
    memory_store store({.max_bytes = 10 * small_record, .clock = clock});
    auto const key = key_number(0);
    claim(store, key, alice, 1h, 1h);
    for (std::uint64_t i = 1; i < 9; ++i) claim(store, key_number(i), alice, 1s, 0ms);
    auto const too_large = idempo::small_record_bytes + small_record + 1;
    error_code ec;
    auto const refused = store.complete({key, print, alice, idempo::shared_bytes(std::string(too_large, 'r')), 1h}, ec);
    CHECK(ec == idempo::error::store_full);
    CHECK(is<idempo::in_flight>(refused));
    CHECK(is<idempo::in_flight>(claim(store, key, bob, 1h, 1h)));
    CHECK(store.size() == 9);

    clock.advance(1s);
    CHECK(is<idempo::done>(complete(store, key, alice, 5 * small_record, 1h)));
    CHECK(is<idempo::completed>(claim(store, key, bob, 1h, 1h)));
    CHECK(store.bytes() <= 10 * small_record);
}

TEST_CASE("memory_store: frees expired records as new ones come") {
    manual_clock clock;
    memory_store store({.clock = clock});
    for (std::uint64_t i = 0; i < 10'000; ++i) claim(store, key_number(i), alice, 1s, 1s);
    CHECK(store.size() == 10'000);
    clock.advance(2s);
    // Each new record takes two old ones with it, in its own shard; the new ones do not expire.
    for (std::uint64_t i = 10'000; i < 16'000; ++i) claim(store, key_number(i), alice, 1h, 1h);
    CHECK(store.size() < 6'500);
}

TEST_CASE("memory_store: stays small when records expire as fast as they come") {
    manual_clock clock;
    memory_store store({.clock = clock});
    std::size_t largest = 0;
    for (std::uint64_t i = 0; i < 100'000; ++i) {
        if (i % 10 == 0) clock.advance(1ms);
        claim(store, key_number(i), alice, 1s, 50ms);
        complete(store, key_number(i), alice, 10, 50ms);
        largest = std::max(largest, store.size());
    }
    CHECK(largest < 700);  // 500 are alive; those of a shard wait for its next new record
}

TEST_CASE("memory_store: knows no duration that is too long") {
    manual_clock clock;
    clock.advance(24h * 365);
    memory_store store({.clock = clock});
    constexpr auto longest = milliseconds::max();
    std::uint64_t number = 0;
    for (auto const lease : {milliseconds(1h), longest - 1ms, longest, milliseconds(24h * 365 * 280)}) {
        for (auto const retention : {milliseconds(1h), longest - 1ms, longest, milliseconds(24h * 365 * 280)}) {
            auto const key = key_number(++number);
            CHECK(is_granted(claim(store, key, alice, lease, retention)));
            auto const answer = claim(store, key, bob, lease, retention);
            REQUIRE(is<idempo::in_flight>(answer));
            CHECK(std::get<idempo::in_flight>(answer).lease_remaining >= 1h);
            error_code ec;
            CHECK(store.renew(key, alice, longest, ec));
            CHECK(store.peek(key, ec).value().lease_remaining == longest);
            CHECK(store.peek(key, ec).value().expires_in == longest);
            CHECK(is<idempo::done>(complete(store, key, alice, 1, retention)));
            CHECK(is<idempo::completed>(claim(store, key, bob, lease, retention)));
            CHECK(store.peek(key, ec).value().expires_in >= 1h);
        }
    }
}

TEST_CASE("memory_store: a duration of zero or less has ended at once") {
    memory_store store({.clock = manual_clock()});
    for (auto const none : {0ms, -1ms, milliseconds::min()}) {
        auto const key = key_number(7);
        error_code ec;
        CHECK(is_granted(claim(store, key, alice, none, 1h), 1));
        CHECK(is_granted(claim(store, key, bob, none, 1h), 2));
        CHECK(store.peek(key, ec).value().lease_remaining < 0ms);
        CHECK(is_granted(claim(store, key, alice, 1h, none), 3));
        CHECK(is<idempo::in_flight>(claim(store, key, bob, 1h, 1h)));
        CHECK(store.renew(key, alice, none, ec));
        CHECK_FALSE(store.peek(key, ec).has_value());

        CHECK(is_granted(claim(store, key, alice, none, none), 1));
        CHECK(is_granted(claim(store, key, bob, none, none), 1));
        CHECK(is<idempo::done>(complete(store, key, alice, 1, none)));
        CHECK_FALSE(store.peek(key, ec).has_value());
        CHECK(is<idempo::done>(complete(store, key, alice, 1, none)));
    }
}

TEST_CASE("memory_store: only the clock that it was given judges time") {
    manual_clock clock;
    memory_store store({.clock = clock});
    claim(store, key_number(1), alice, 1ms, 1h);
    std::this_thread::sleep_for(5ms);
    CHECK(is<idempo::in_flight>(claim(store, key_number(1), bob, 1ms, 1h)));
    clock.advance(1ms);
    CHECK(is_granted(claim(store, key_number(1), bob, 1ms, 1h), 2));
}

TEST_CASE("memory_store: a copy keeps the records alive") {
    std::optional<memory_store> original(std::in_place);
    auto const copy = *original;
    claim(*original, key_number(1), alice, 1h, 1h);
    original.reset();
    CHECK(is<idempo::in_flight>(claim(copy, key_number(1), bob, 1h, 1h)));
    CHECK(copy.size() == 1);
}

namespace {

std::string text(claim_result const& result) {
    if (auto const* const grant = std::get_if<idempo::granted>(&result)) {
        return "granted " + std::to_string(grant->attempt);
    }
    if (auto const* const ended = std::get_if<idempo::expired>(&result)) {
        return "expired " + std::to_string(ended->attempt);
    }
    if (auto const* const found = std::get_if<idempo::in_flight>(&result)) {
        return "in_flight " + std::to_string(found->lease_remaining.count());
    }
    if (is<idempo::remembered>(result)) return "remembered";
    auto const* const found = std::get_if<idempo::completed>(&result);
    return found != nullptr ? "completed " + std::string(found->record.view()) : "mismatch";
}

std::string text(complete_result const& result) {
    if (is<idempo::done>(result)) return "done";
    if (is<idempo::in_flight>(result)) return "in_flight";
    auto const* const found = std::get_if<idempo::completed>(&result);
    return found != nullptr ? "completed " + std::string(found->record.view()) : "mismatch";
}

std::string text(std::optional<idempo::record_info> const& info) {
    if (!info) return "absent";
    if (info->state == idempo::record_state::completed) {
        return "completed " + std::to_string(info->record_bytes) + ' ' + std::to_string(info->expires_in.count());
    }
    return "in_flight " + std::to_string(info->attempt) + ' ' + std::to_string(info->expires_in.count());
}

/// Does one random thing to a store and tells the answer. Equal seeds do the same.
template <class Store>
std::string random_operation(Store& store, std::mt19937_64& random) {
    auto const below = [&](std::uint64_t limit) { return random() % limit; };
    auto const what = below(100);
    static std::vector<store_key> const keys = [] {
        std::vector<store_key> made;
        for (std::uint64_t i = 0; i < 64; ++i) made.push_back(key_number(i));
        return made;
    }();
    auto const& key = keys[below(keys.size())];
    fencing_token const by{{static_cast<unsigned char>(below(3))}};
    auto const& used_print = below(10) == 0 ? other_print : print;
    std::array const spans{-1ms, 0ms, 1ms, 3ms, 10ms, 30ms, milliseconds::max()};
    auto const lease = spans[below(spans.size())];
    auto const retention = spans[below(below(4) == 0 ? spans.size() : spans.size() - 1)];
    auto const remember = below(2) == 0 ? 0ms : spans[below(spans.size())];
    error_code ec;
    std::string answer;
    if (what < 50) {
        answer = text(store.claim({key, used_print, by, lease, retention, below(5) != 0, false, remember}, ec));
    } else if (what < 65) {
        idempo::shared_bytes const bytes(std::to_string(random()));
        answer = text(store.complete({key, used_print, by, bytes, retention, remember}, ec));
    } else if (what < 75) {
        store.abandon(key, by, ec);
    } else if (what < 85) {
        answer = store.renew(key, by, lease, ec) ? "renewed" : "not renewed";
    } else if (what < 95) {
        answer = text(store.peek(key, ec));
    } else {
        answer = store.forget(key, ec) ? "forgotten" : "not there";
    }
    return ec ? ec.message() : answer;
}

}  // namespace

TEST_CASE("memory_store: answers a million random operations as the model does") {
    auto const max_records = GENERATE(std::size_t{1'000'000}, std::size_t{25});
    auto const shards = GENERATE(std::size_t{1}, std::size_t{8});
    std::uint64_t const seed = std::random_device{}();
    INFO("seed " << seed);
    manual_clock clock;
    memory_store store({.max_records = max_records, .clock = clock, .shards = shards});
    model_store model([&] { return clock.since_start(); }, idempo::tests::flaw::none, max_records);
    std::mt19937_64 of_store(seed);
    std::mt19937_64 of_model(seed);
    std::map<std::string, int> seen;
    for (int i = 0; i < 250'000; ++i) {
        auto const expected = random_operation(model, of_model);
        REQUIRE(random_operation(store, of_store) == expected);
        ++seen[expected.substr(0, expected.find(' '))];
        if (i % 4 == 0) clock.advance(1ms);
    }
    for (auto const* const answer :
         {"granted", "in_flight", "mismatch", "completed", "expired", "done", "renewed", "remembered"}) {
        INFO(answer);
        CHECK(seen[answer] > 500);
    }
    CHECK((max_records > 64 || seen["The"] > 500));  // "The idempotency store has no room …"
}

TEST_CASE("memory_store: keeps its bounds when several threads fill it") {
    constexpr std::size_t max_records = 200;
    manual_clock clock;
    memory_store store({.max_records = max_records, .max_bytes = 150 * small_record, .clock = clock});
    std::atomic<std::size_t> granted{0};
    std::atomic<std::size_t> refused{0};
    std::atomic<bool> exceeded{false};
    {
        std::vector<std::jthread> threads;
        for (std::uint64_t thread = 0; thread < 4; ++thread) {
            threads.emplace_back([&, thread] {
                for (std::uint64_t i = 0; i < 3'000; ++i) {
                    ++(claim_error(store, key_number(thread * 1'000'000 + i), 2ms) ? refused : granted);
                    if (i % 200 == 0) clock.advance(1ms);
                    if (store.size() > max_records || store.bytes() > 150 * small_record) exceeded = true;
                }
            });
        }
    }
    CHECK_FALSE(exceeded);
    CHECK(granted > 1'000);
    CHECK(refused > 100);

    clock.advance(2ms);
    for (std::uint64_t i = 0; i < 150; ++i) CHECK(!claim_error(store, key_number(9'000'000 + i), 1h));
    CHECK(claim_error(store, key_number(9'999'999), 1h) == idempo::error::store_full);
    CHECK(store.size() == 150);
}

TEST_CASE("memory_store: a replay beside writers is the record of one of them, whole") {
    constexpr std::uint64_t keys = 16;
    // One shard, small records and large ones: these are copied, those are shared. Each has one letter, which says its
    // size.
    memory_store store({.shards = 1});
    auto const size_of = [](char letter) { return std::size_t{1} + static_cast<std::size_t>(letter - 'a') * 100; };
    std::atomic<bool> is_over{false};
    std::atomic<std::size_t> torn{0};
    std::atomic<std::size_t> small{0};
    std::atomic<std::size_t> large{0};
    {
        std::vector<std::jthread> threads;
        for (std::uint64_t reader = 0; reader < 3; ++reader) {
            threads.emplace_back([&, reader] {
                for (std::uint64_t i = reader; !is_over || small == 0 || large == 0; ++i) {
                    error_code ec;
                    auto const key = key_number(i % keys);
                    auto const result = store.claim({key, print, alice, 1h, 1h}, ec);
                    if (is_granted(result)) store.abandon(key, alice, ec);
                    auto const* const met = std::get_if<idempo::completed>(&result);
                    if (met == nullptr) continue;
                    auto const bytes = met->record.view();
                    bool const is_whole = !bytes.empty() && bytes.size() == size_of(bytes.front()) &&
                                          bytes.find_first_not_of(bytes.front()) == std::string_view::npos;
                    ++(!is_whole ? torn : bytes.size() > 1024 ? large : small);
                }
            });
        }
        for (std::uint64_t writer = 0; writer < 2; ++writer) {
            threads.emplace_back([&, writer] {
                for (std::uint64_t i = 0; i < 20'000; ++i) {
                    error_code ec;
                    auto const key = key_number((i * 2 + writer) % keys);
                    auto const letter = static_cast<char>('a' + i % 26);
                    store.forget(key, ec);
                    std::ignore = store.complete(
                        {key, print, bob, idempo::shared_bytes(std::string(size_of(letter), letter)), 1h}, ec);
                    // Others come and go, so that the table and the order of expiry change, too.
                    complete(store, key_number(1000 + i), bob, 10, 1h);
                    if (i >= 100) store.forget(key_number(900 + i), ec);
                }
            });
        }
        threads[3].join();
        threads[4].join();
        is_over = true;
    }
    CHECK(torn == 0);
    CHECK(small > 0);
    CHECK(large > 0);
}

TEST_CASE("memory_store: takes no more memory for a record than it counts") {
    constexpr std::size_t records = 100'000;
    constexpr std::size_t bytes = 200;
    // With one shard only one region of records is not full.
    memory_store store({.shards = 1});
    auto const before = resident_bytes();
    for (std::uint64_t i = 0; i < records; ++i) complete(store, key_number(i), alice, bytes, 1h);
    auto const added = resident_bytes() - before;
    CHECK(store.bytes() == records * (memory_store::record_overhead + bytes));
    CHECK(added > records * bytes);
    if (!is_instrumented) CHECK(added <= store.bytes());
}

TEST_CASE("memory_store: a mark takes the place of its record, counts its bytes, and is freed when it has ended") {
    auto const shards = GENERATE(std::size_t{1}, std::size_t{8});
    constexpr std::size_t records = 1000;
    manual_clock clock;
    memory_store store({.max_bytes = records * small_record, .clock = clock, .shards = shards});
    error_code ec;
    auto const use = [&](std::uint64_t number) {
        auto const result = store.claim({key_number(number), print, alice, 1ms, 0ms, true, false, 1h}, ec);
        return !ec && is_granted(result);
    };
    std::uint64_t used = 0;
    for (; used < records; ++used) REQUIRE(use(used));
    CHECK_FALSE(use(used));
    CHECK(ec == idempo::error::store_full);
    // Each key that expires makes room for seven marks more, until there is room for none.
    for (int round = 0; round < 1000; ++round) {
        clock.advance(1ms);
        while (use(used)) ++used;
    }
    CHECK(ec == idempo::error::store_full);
    CHECK(store.bytes() <= records * small_record);
    CHECK(used > (records - 20) * small_record / memory_store::mark_bytes);
    CHECK(store.size() < 20);
    for (std::uint64_t number = 0; number + store.size() < used; number += 97) {
        INFO(number);
        CHECK(is<idempo::remembered>(store.claim({key_number(number), print, bob, 1h, 1h, true, false, 1h}, ec)));
    }
    clock.advance(2h);
    for (std::uint64_t i = 0; i < records; ++i) REQUIRE(use(1'000'000 + i));
    CHECK(store.size() == records);
    CHECK(store.bytes() == records * small_record);
}

TEST_CASE("memory_store: an abandoned takeover leaves the number of its attempt behind") {
    manual_clock clock;
    memory_store store({.clock = clock});
    auto const key = key_number(1);
    error_code ec;
    REQUIRE(is_granted(claim(store, key, alice, 10ms, 1h), 1));
    clock.advance(11ms);
    REQUIRE(is_granted(claim(store, key, bob, 10ms, 1h), 2));
    store.abandon(key, bob, ec);
    CHECK(is_granted(claim(store, key, fencing_token{{3}}, 10ms, 1h), 2));
    store.abandon(key, fencing_token{{3}}, ec);
    CHECK(store.claim({key, other_print, alice, 10ms, 1h}, ec).index() == claim_result(idempo::mismatch{}).index());
    clock.advance(1h);
    CHECK(is_granted(claim(store, key, alice, 10ms, 1h), 1));
}
