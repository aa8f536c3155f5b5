// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <mutex>
#include <utility>

namespace idempo::detail {

/// A shared mutex whose readers write nothing that they share: each core counts its own. So readers do not slow each
/// other down, and a writer looks at all counts. Readers never wait; where a writer has the mutex, or waits for it,
/// they are told to take it as a writer does. A distributed, or big-reader, lock.
class per_core_shared_mutex {
    /// As far apart as the cache lines that two cores would hand to and fro.
    struct alignas(64) reader_count {
        std::atomic<unsigned> readers{0};
    };

public:
    /// Holds the mutex shared, or nothing.
    class reader {
    public:
        reader() = default;
        reader(reader&& other) noexcept : count_(std::exchange(other.count_, nullptr)) {}
        reader& operator=(reader&&) = delete;
        ~reader() {
            if (count_ != nullptr) count_->readers.fetch_sub(1, std::memory_order_release);
        }

        [[nodiscard]] explicit operator bool() const noexcept { return count_ != nullptr; }

    private:
        friend class per_core_shared_mutex;
        explicit reader(reader_count& count) noexcept : count_(&count) {}

        reader_count* count_ = nullptr;
    };

    [[nodiscard]] reader try_read() const noexcept {
        auto& count = counts_[this_core()];
        // Either this reader sees the writer, or the writer sees this reader.
        count.readers.fetch_add(1, std::memory_order_seq_cst);
        if (!has_writer_.load(std::memory_order_seq_cst)) return reader(count);
        count.readers.fetch_sub(1, std::memory_order_release);
        return {};
    }

    /// \name As of `std::mutex`, for a writer
    /// @{
    void lock() {
        mutex_.lock();
        wait_for_readers();
    }
    [[nodiscard]] bool try_lock() {
        if (!mutex_.try_lock()) return false;
        wait_for_readers();
        return true;
    }
    void unlock() noexcept {
        has_writer_.store(false, std::memory_order_release);
        mutex_.unlock();
    }
    /// @}

private:
    /// More cores than these share counts, which is slower and no less right.
    static constexpr std::size_t cores = 8;

    [[nodiscard]] static std::size_t this_core() noexcept;

    void wait_for_readers() noexcept;

    mutable std::array<reader_count, cores> counts_;
    std::mutex mutex_;
    std::atomic<bool> has_writer_{false};
};

}  // namespace idempo::detail
