// SPDX-License-Identifier: MIT
#include "support/manual_clock.hpp"

#include <idempo/store.hpp>
#include <idempo/stores/memory_store.hpp>
#include <idempo/testing/store_contract.hpp>

#include <chrono>
#include <cstddef>
#include <thread>

using namespace std::chrono_literals;

namespace {

static_assert(idempo::renewable_store<idempo::memory_store>);
static_assert(idempo::inspectable_store<idempo::memory_store>);
static_assert(idempo::nonblocking_store<idempo::memory_store>);

class manual_fixture {
public:
    idempo::memory_store store() { return store_; }
    idempo::memory_store bounded_store(std::size_t records) {
        return idempo::memory_store({.max_records = records, .clock = clock_});
    }
    void advance(std::chrono::milliseconds span) { clock_.advance(span); }
    static std::chrono::milliseconds time_unit() { return 1s; }

private:
    idempo::tests::manual_clock clock_;
    idempo::memory_store store_{{.clock = clock_}};
};

/// The same, but it is the bytes that run out, and there is one shard only.
class cramped_fixture {
public:
    idempo::memory_store store() { return store_; }
    idempo::memory_store bounded_store(std::size_t records) {
        constexpr auto bytes = idempo::memory_store::record_overhead + idempo::small_record_bytes;
        return idempo::memory_store({.max_bytes = records * bytes, .clock = clock_, .shards = 1});
    }
    void advance(std::chrono::milliseconds span) { clock_.advance(span); }
    static std::chrono::milliseconds time_unit() { return 1s; }

private:
    idempo::tests::manual_clock clock_;
    idempo::memory_store store_{{.clock = clock_, .shards = 1}};
};

class real_time_fixture {
public:
    idempo::memory_store store() { return store_; }
    static void advance(std::chrono::milliseconds span) { std::this_thread::sleep_for(span); }
    static std::chrono::milliseconds time_unit() { return 50ms; }

private:
    idempo::memory_store store_;
};

}  // namespace

TEST_CASE("memory_store: keeps the contract") {
    manual_fixture fixture;
    idempo::testing::store_contract(fixture);
}

TEST_CASE("memory_store: with one shard, bounded in bytes, keeps the contract") {
    cramped_fixture fixture;
    idempo::testing::store_contract(fixture);
}

TEST_CASE("memory_store: keeps the contract on the real clock") {
    real_time_fixture fixture;
    idempo::testing::store_contract(fixture);
}
