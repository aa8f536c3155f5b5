// SPDX-License-Identifier: MIT
#include <idempo/stores/record_memory.hpp>

#include <idempo/shared_bytes.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using idempo::shared_bytes;
using idempo::detail::record_memory;

namespace {

constexpr std::size_t region = std::size_t{2} * 1024 * 1024;

/// Fills what it gets with one byte, and remembers it.
class filled_blocks {
public:
    explicit filled_blocks(record_memory& memory) : memory_(memory) {}
    filled_blocks(filled_blocks const&) = delete;
    filled_blocks& operator=(filled_blocks const&) = delete;
    ~filled_blocks() {
        while (!blocks_.empty()) remove(0);
    }

    void add(std::size_t size, unsigned char with) {
        auto* const block = static_cast<unsigned char*>(memory_.allocate(size, 8));
        std::memset(block, with, size);
        blocks_.push_back({block, size, with});
    }

    void remove(std::size_t number) {
        std::swap(blocks_[number], blocks_.back());
        auto const last = blocks_.back();
        blocks_.pop_back();
        memory_.deallocate(last.data, last.size, 8);
    }

    [[nodiscard]] std::size_t count() const { return blocks_.size(); }

    [[nodiscard]] bool are_untouched() const {
        return std::all_of(blocks_.begin(), blocks_.end(), [](auto const& each) {
            return std::all_of(each.data, each.data + each.size, [&](unsigned char byte) { return byte == each.with; });
        });
    }

private:
    struct filled {
        unsigned char* data;
        std::size_t size;
        unsigned char with;
    };

    record_memory& memory_;
    std::vector<filled> blocks_;
};

}  // namespace

TEST_CASE("record_memory: blocks of any size are aligned and never overlap") {
    auto const seed = std::random_device()();
    CAPTURE(seed);
    std::mt19937 random(seed);
    auto const memory = record_memory::make();
    filled_blocks blocks(*memory);
    std::uniform_int_distribution<std::size_t> sizes(1, record_memory::largest_slab_block + 1000);
    for (int step = 0; step < 20'000; ++step) {
        bool const adds = blocks.count() == 0 || random() % 5 < 3;
        if (adds) {
            blocks.add(sizes(random), static_cast<unsigned char>(random()));
        } else {
            blocks.remove(random() % blocks.count());
        }
    }
    CHECK(blocks.count() > 1000);
    CHECK(blocks.are_untouched());
}

TEST_CASE("record_memory: a freed block serves the next one of its size") {
    auto const memory = record_memory::make();
    auto* const first = memory->allocate(300, 8);
    auto* const neighbour = memory->allocate(300, 8);
    memory->deallocate(first, 300, 8);
    CHECK(memory->allocate(300, 8) == first);
    memory->deallocate(first, 300, 8);
    memory->deallocate(neighbour, 300, 8);
}

TEST_CASE("record_memory: memory of one size that is free again serves every other size") {
    auto const memory = record_memory::make();
    std::size_t most = 0;
    for (std::size_t size = 64; size <= record_memory::largest_slab_block; size += 64) {
        filled_blocks blocks(*memory);
        for (std::size_t used = 0; used < 8 * region; used += size) blocks.add(size, 1);
        most = std::max(most, memory->region_bytes());
    }
    // Eight regions of blocks and what does not fit at the ends of slabs, whatever the sizes were before.
    CHECK(most <= 10 * region);
    CHECK(memory->region_bytes() == region);
}

TEST_CASE("record_memory: a block is of the least size that holds it") {
    for (std::size_t size = 1; size <= record_memory::largest_slab_block; ++size) {
        auto const size_class = record_memory::class_of(size);
        CAPTURE(size, size_class);
        REQUIRE(size_class < record_memory::size_classes);
        REQUIRE(record_memory::size_of(size_class) >= size);
        REQUIRE(record_memory::size_of(size_class) % 8 == 0);
        if (size_class > 0) REQUIRE(record_memory::size_of(size_class - 1) < size);
        if (size > 256) REQUIRE(record_memory::size_of(size_class) - size <= size / 16);
    }
    CHECK(record_memory::class_of(0) == 0);
}

TEST_CASE("record_memory: what a flood took goes back while other records stay") {
    auto const seed = std::random_device()();
    CAPTURE(seed);
    std::mt19937 random(seed);
    auto const memory = record_memory::make();
    std::deque<std::pair<void*, std::size_t>> living;
    auto const remove_oldest = [&] {
        memory->deallocate(living.front().first, living.front().second, 8);
        living.pop_front();
    };
    // The oldest goes first, as records do, and no faster than new ones make room.
    auto const run = [&](std::size_t most) {
        for (int step = 0; step < 60'000; ++step) {
            auto const size = 200 + random() % 3'800;
            living.emplace_back(memory->allocate(size, 8), size);
            std::memset(living.back().first, 1, size);
            for (int removed = 0; removed < 2 && living.size() > most; ++removed) remove_oldest();
        }
    };
    run(2'000);
    auto const calm = memory->resident_bytes();
    for (int flood = 0; flood < 3; ++flood) {
        run(10'000);
        CHECK(memory->resident_bytes() > 3 * calm);
        run(2'000);
        // Slabs are not filled to the same point each time.
        CHECK(memory->resident_bytes() < calm + calm / 4);
    }
    while (!living.empty()) remove_oldest();
    CHECK(memory->region_bytes() == region);
}

TEST_CASE("record_memory: a large block is not in a region") {
    auto const memory = record_memory::make();
    auto* const large = memory->allocate(10 * region, 8);
    CHECK(memory->region_bytes() == 0);
    memory->deallocate(large, 10 * region, 8);
}

TEST_CASE("record_memory: it lives as long as the last block") {
    shared_bytes kept;
    {
        auto memory = record_memory::make();
        kept = shared_bytes("still here", memory.get());
        shared_bytes const copy = kept;
    }
    CHECK(kept.view() == "still here");
}

TEST_CASE("record_memory: threads share it") {
    auto const seed = std::random_device()();
    CAPTURE(seed);
    auto const memory = record_memory::make();
    std::atomic<int> damaged{0};
    std::vector<std::thread> threads;
    for (unsigned number = 0; number < 4; ++number) {
        threads.emplace_back([&, number] {
            std::mt19937 random(seed + number);
            filled_blocks blocks(*memory);
            for (int step = 0; step < 5'000; ++step) {
                blocks.add(1 + random() % 2000, static_cast<unsigned char>(number));
                if (blocks.count() > 50) blocks.remove(random() % blocks.count());
            }
            if (!blocks.are_untouched()) ++damaged;
        });
    }
    for (auto& each : threads) each.join();
    CHECK(damaged == 0);
    CHECK(memory->region_bytes() == region);
}

TEST_CASE("shared_bytes: copies share the bytes, and the last one frees them") {
    auto memory = record_memory::make();
    shared_bytes first("bytes", memory.get());
    auto const* const data = first.view().data();
    shared_bytes second = first;
    CHECK(second.view().data() == data);
    first = shared_bytes();
    CHECK(first.empty());
    CHECK(second.view() == "bytes");
    shared_bytes third = std::move(second);
    CHECK(second.empty());  // NOLINT(bugprone-use-after-move): a moved-from object is empty
    CHECK(third.view().data() == data);
    auto const& self = third;
    third = self;
    CHECK(third.view() == "bytes");
}

TEST_CASE("shared_bytes: nothing is left behind when the bytes cannot be written") {
    auto memory = record_memory::make();
    CHECK_THROWS_AS(shared_bytes(
                        100, [](char*) { throw 1; }, memory.get()),
                    int);
    CHECK(shared_bytes(std::string_view()).empty());
    CHECK(shared_bytes("text").size() == 4);
}
