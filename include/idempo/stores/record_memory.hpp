// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <mutex>

namespace idempo::detail {

/// Memory for the records of some shards, apart from the general heap.
///
/// Records live for hours between allocations that live for microseconds. In one heap they leave holes that every later
/// allocation of the process searches: in a process with 339,000 records a request without a key took 1.6 times as long
/// as in a fresh one. So records get regions of 2 MiB of their own, divided into slabs of 32 KiB, each for blocks of
/// one size. A region is a huge page where the system has them: in pages of 4 KiB a first request spent a tenth of its
/// time on page faults. A block larger than `largest_slab_block` comes from the heap.
///
/// A free block serves the next record of its size, an empty slab the next size that needs one, and an empty region
/// goes back to the system, save the last. So do the pages of empty slabs, where more are empty than a sixteenth of
/// those in use. Records expire in about the order in which they were made, which empties slabs.
///
/// It lives as long as its owner or any of its blocks, whichever is longer: a replay may still be under way when its
/// store is gone. All members may be called from any thread.
class record_memory final : public std::pmr::memory_resource {
public:
    static constexpr std::size_t largest_slab_block = 4096;

    struct owner_release {
        void operator()(record_memory* memory) const noexcept { memory->release(); }
    };
    using owner = std::unique_ptr<record_memory, owner_release>;

    [[nodiscard]] static owner make() { return owner(new record_memory); }

    record_memory(record_memory const&) = delete;
    record_memory& operator=(record_memory const&) = delete;

    /// The addresses that it has of the system, and the memory behind them. Large blocks are in neither. For tests and
    /// measurements.
    [[nodiscard]] std::size_t region_bytes() const noexcept {
        std::lock_guard const lock(mutex_);
        return region_count_ * region_size;
    }
    [[nodiscard]] std::size_t resident_bytes() const noexcept {
        std::lock_guard const lock(mutex_);
        return resident_slabs_ * slab_size;
    }

    /// \name The sizes of blocks
    /// Multiples of 8 up to 256 bytes; beyond, sixteen for each power of two, so that no more than a sixteenth is lost,
    /// and records of all sizes do not each hold a slab of their own.
    /// @{
    static constexpr std::size_t size_classes = 96;
    [[nodiscard]] static constexpr std::size_t class_of(std::size_t size) noexcept {
        if (size <= finely_divided) return (std::max(size, granule) - 1) / granule;
        auto const doublings = static_cast<std::size_t>(std::bit_width(size - 1) - std::bit_width(finely_divided)) + 1;
        auto const step = (finely_divided << (doublings - 1)) / 16;
        return finely_divided / granule + 16 * (doublings - 1) + (size - 1) / step - 16;
    }
    [[nodiscard]] static constexpr std::size_t size_of(std::size_t size_class) noexcept {
        constexpr std::size_t fine = finely_divided / granule;
        if (size_class < fine) return (size_class + 1) * granule;
        auto const doublings = (size_class - fine) / 16;
        auto const step = (finely_divided << doublings) / 16;
        return (finely_divided << doublings) + ((size_class - fine) % 16 + 1) * step;
    }
    /// @}

private:
    static constexpr std::size_t region_size = std::size_t{2} * 1024 * 1024;
    static constexpr std::size_t slab_size = std::size_t{32} * 1024;
    /// Blocks are multiples of it, and aligned to it.
    static constexpr std::size_t granule = 8;
    static constexpr std::size_t finely_divided = 256;
    /// Empty slabs whose pages stay, and of those in use the part that may be empty beside them.
    static constexpr std::size_t spare_slabs = 4;
    static constexpr std::size_t spare_part = 32;

    struct free_block {
        free_block* next;
    };

    template <class T>
    struct links {
        T* previous = nullptr;
        T* next = nullptr;
    };

    /// Aligned to its size, as a region is: a block finds its slab, and a slab its region, by its address.
    struct alignas(granule) slab : links<slab> {
        std::size_t block_size = 0;
        std::size_t blocks_in_use = 0;
        free_block* free = nullptr;
        /// From here on nothing has been given out yet, nor touched.
        char* fresh = nullptr;
    };

    /// A bit for each slab of a region.
    using slab_set = std::uint64_t;
    static constexpr slab_set all_slabs = ~slab_set{0};
    static_assert(region_size / slab_size == 64);

    /// In front of its first slab, which is the smaller for it.
    struct alignas(granule) region : links<region> {
        slab_set used = 0;
        /// Those whose pages the process has.
        slab_set resident = 0;
    };

    record_memory() = default;
    ~record_memory() override;

    void* do_allocate(std::size_t size, std::size_t alignment) override;
    void do_deallocate(void* block, std::size_t size, std::size_t alignment) noexcept override;
    [[nodiscard]] bool do_is_equal(std::pmr::memory_resource const& other) const noexcept override {
        return this == &other;
    }

    [[nodiscard]] void* allocate_in_slab(std::size_t size_class);
    void deallocate_in_slab(void* block) noexcept;
    [[nodiscard]] slab* take_slab(std::size_t block_size);
    void give_back(slab* empty) noexcept;
    [[nodiscard]] region* add_region();
    void give_back(region* empty) noexcept;
    void release() noexcept;

    template <class T>
    static void link(T*& first, T* added) noexcept;
    template <class T>
    static void unlink(T*& first, T* removed) noexcept;
    template <class T>
    [[nodiscard]] static T* enclosing(void* address, std::size_t size) noexcept {
        auto const offset = reinterpret_cast<std::uintptr_t>(address) & (size - 1);
        return reinterpret_cast<T*>(static_cast<char*>(address) - offset);
    }
    [[nodiscard]] static slab* slab_of(void* block) noexcept;
    [[nodiscard]] bool has_spare_slabs() const noexcept;
    [[nodiscard]] static bool has_room(slab const& in) noexcept;
    [[nodiscard]] static bool has_room(region const& in) noexcept;

    mutable std::mutex mutex_;
    /// For each size the slabs that have room.
    std::array<slab*, size_classes> slabs_with_room_{};
    region* regions_with_room_ = nullptr;
    std::size_t region_count_ = 0;
    std::size_t used_slabs_ = 0;
    std::size_t resident_slabs_ = 0;
    /// The owner, and every block.
    std::atomic<std::size_t> users_{1};
};

}  // namespace idempo::detail
