// SPDX-License-Identifier: MIT
#include <idempo/stores/per_core_shared_mutex.hpp>

#include "support/catch.hpp"

#include <atomic>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

using idempo::detail::per_core_shared_mutex;

TEST_CASE("per_core_shared_mutex: many read, and none beside a writer", "[stores]") {
    per_core_shared_mutex mutex;
    {
        auto const first = mutex.try_read();
        auto const second = mutex.try_read();
        CHECK(first);
        CHECK(second);
    }
    std::unique_lock writer(mutex);
    CHECK_FALSE(mutex.try_read());
    CHECK_FALSE(mutex.try_read());
    writer.unlock();
    CHECK(mutex.try_read());
    CHECK(mutex.try_lock());
    CHECK_FALSE(mutex.try_read());
    mutex.unlock();
}

TEST_CASE("per_core_shared_mutex: a reader that was moved from holds nothing", "[stores]") {
    per_core_shared_mutex mutex;
    auto first = mutex.try_read();
    std::optional second(std::move(first));
    CHECK_FALSE(first);  // NOLINT(bugprone-use-after-move): what is left is what is tested
    CHECK(*second);
    second.reset();
    CHECK(mutex.try_lock());  // which waits for every reader
    mutex.unlock();
}

TEST_CASE("per_core_shared_mutex: a writer waits for the readers that were there before it", "[stores]") {
    per_core_shared_mutex mutex;
    std::atomic<bool> has_read = false;
    std::atomic<bool> is_early = false;
    std::optional reading(mutex.try_read());
    std::thread writer([&] {
        std::lock_guard const lock(mutex);
        is_early = !has_read;
    });
    while (mutex.try_read()) std::this_thread::yield();  // until it asks
    has_read = true;
    reading.reset();
    writer.join();
    CHECK_FALSE(is_early);
}

TEST_CASE("per_core_shared_mutex: no reader sees half of what a writer writes", "[stores]") {
    constexpr int writes = 300;
    per_core_shared_mutex mutex;
    // Not atomic, so that a race is one for a sanitizer, too.
    long low = 0;
    long high = 0;
    std::atomic<int> torn = 0;
    std::atomic<int> reads = 0;
    std::atomic<int> refused = 0;
    std::atomic<bool> is_over = false;
    std::vector<std::thread> threads;
    for (int reader = 0; reader < 3; ++reader) {
        threads.emplace_back([&] {
            while (!is_over || reads == 0) {
                auto const reading = mutex.try_read();
                if (reading && low != high) ++torn;
                ++(reading ? reads : refused);
                if (!reading) std::this_thread::yield();
            }
        });
    }
    for (int writer = 0; writer < 2; ++writer) {
        threads.emplace_back([&] {
            for (int count = 0; count < writes; ++count) {
                std::lock_guard const lock(mutex);
                ++low;
                std::this_thread::yield();  // half of it is written
                ++high;
            }
        });
    }
    threads[3].join();
    threads[4].join();
    is_over = true;
    for (int reader = 0; reader < 3; ++reader) threads[static_cast<std::size_t>(reader)].join();
    CHECK(torn == 0);
    CHECK(low == 2 * writes);
    CHECK(high == 2 * writes);
    CHECK(reads > 0);
    CHECK(refused > 0);
}
