// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstddef>

namespace idempo::detail {

/// How much a memory store may take, and how much it has taken, for all of its shards together.
/// Adding, growing and removing a record write here, nothing else does.
class alignas(64) memory_budget {
public:
    memory_budget(std::size_t max_records, std::size_t max_bytes) noexcept
        : max_records_(max_records),
          max_bytes_(max_bytes) {}

    /// Acquires both, or nothing and says false.
    [[nodiscard]] bool acquire(std::size_t records, std::size_t bytes) noexcept {
        if (!add_within(bytes_, bytes, max_bytes_)) return false;
        if (add_within(records_, records, max_records_)) return true;
        bytes_.fetch_sub(bytes, std::memory_order_relaxed);
        return false;
    }

    void give_back(std::size_t records, std::size_t bytes) noexcept {
        records_.fetch_sub(records, std::memory_order_relaxed);
        bytes_.fetch_sub(bytes, std::memory_order_relaxed);
    }

    [[nodiscard]] std::size_t records() const noexcept { return records_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_.load(std::memory_order_relaxed); }

private:
    static bool add_within(std::atomic<std::size_t>& sum, std::size_t amount, std::size_t limit) noexcept {
        std::size_t before = sum.load(std::memory_order_relaxed);
        do {
            if (amount > limit - before) return false;
        } while (!sum.compare_exchange_weak(before, before + amount, std::memory_order_relaxed));
        return true;
    }

    std::size_t max_records_;
    std::size_t max_bytes_;
    std::atomic<std::size_t> records_{0};
    std::atomic<std::size_t> bytes_{0};
};

}  // namespace idempo::detail
