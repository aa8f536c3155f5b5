// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/stores/record_memory.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>

#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#endif
#endif

namespace idempo::detail {

namespace {

/// Takes the pages in one call instead of a fault for each. Where the system cannot, the faults come.
void take_pages([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t size) noexcept {
#ifdef MADV_POPULATE_WRITE
    static_cast<void>(::madvise(memory, size, MADV_POPULATE_WRITE));
#endif
}

std::size_t page_size() noexcept {
    static auto const size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    return size;
}

/// The addresses stay. They read as zeros then.
void give_pages_back(void* memory, std::size_t size) noexcept {
    static_cast<void>(::madvise(memory, size, MADV_DONTNEED));
}

/// The system makes one of the pages when it has time. Where it has no huge pages, nothing changes.
void advise_huge_page([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t size) noexcept {
#ifdef MADV_HUGEPAGE
    static_cast<void>(::madvise(memory, size, MADV_HUGEPAGE));
#endif
}

/// Where it makes one nevertheless, pages that were given back come again.
void advise_small_pages([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t size) noexcept {
#ifdef MADV_NOHUGEPAGE
    static_cast<void>(::madvise(memory, size, MADV_NOHUGEPAGE));
#endif
}

/// AddressSanitizer reports whoever touches a block that is free.
void forbid([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t size) noexcept {
#ifdef ASAN_POISON_MEMORY_REGION
    ASAN_POISON_MEMORY_REGION(memory, size);
#endif
}

void allow([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t size) noexcept {
#ifdef ASAN_UNPOISON_MEMORY_REGION
    ASAN_UNPOISON_MEMORY_REGION(memory, size);
#endif
}

/// Pages of the system, aligned to their size. Not of the heap, which keeps what is given back.
/// \throws std::bad_alloc
void* map_aligned(std::size_t size) {
    void* const mapped = ::mmap(nullptr, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) throw std::bad_alloc();
    auto* const begin = static_cast<char*>(mapped);
    auto const before = (size - reinterpret_cast<std::uintptr_t>(begin) % size) % size;
    if (before > 0) ::munmap(begin, before);
    ::munmap(begin + before + size, size - before);
#ifdef ASAN_POISON_MEMORY_REGION
    __lsan_register_root_region(begin + before, size);  // records refer to blocks of the heap
#endif
    return begin + before;
}

void unmap(void* memory, std::size_t size) noexcept {
    allow(memory, size);
#ifdef ASAN_POISON_MEMORY_REGION
    __lsan_unregister_root_region(memory, size);
#endif
    ::munmap(memory, size);
}

}  // namespace

record_memory::~record_memory() {
    // No block is left, so that no region but the last, which is kept, can be there.
    if (regions_with_room_ != nullptr) unmap(regions_with_room_, region_size);
}

void* record_memory::do_allocate(std::size_t size, std::size_t alignment) {
    void* block = nullptr;
    if (size > largest_slab_block || alignment > granule) {
        block = ::operator new(size, std::align_val_t{alignment});
    } else {
        block = allocate_in_slab(class_of(size));
    }
    users_.fetch_add(1, std::memory_order_relaxed);
    return block;
}

void record_memory::do_deallocate(void* block, std::size_t size, std::size_t alignment) noexcept {
    if (size > largest_slab_block || alignment > granule) {
        ::operator delete(block, std::align_val_t{alignment});
    } else {
        deallocate_in_slab(block);
    }
    release();
}

void* record_memory::allocate_in_slab(std::size_t size_class) {
    std::lock_guard const lock(mutex_);
    auto& first = slabs_with_room_[size_class];
    if (first == nullptr) link(first, take_slab(size_of(size_class)));
    slab* const from = first;
    void* block = from->free;
    if (block != nullptr) {
        allow(block, from->block_size);
        from->free = from->free->next;
    } else {
        block = from->fresh;
        allow(block, from->block_size);
        from->fresh += from->block_size;
    }
    ++from->blocks_in_use;
    if (!has_room(*from)) unlink(first, from);
    return block;
}

void record_memory::deallocate_in_slab(void* block) noexcept {
    std::lock_guard const lock(mutex_);
    slab* const of = slab_of(block);
    auto& first = slabs_with_room_[class_of(of->block_size)];
    if (!has_room(*of)) link(first, of);
    of->free = new (block) free_block{of->free};
    forbid(block, of->block_size);
    if (--of->blocks_in_use > 0) return;
    unlink(first, of);
    give_back(of);
}

record_memory::slab* record_memory::take_slab(std::size_t block_size) {
    region* const from = regions_with_room_ != nullptr ? regions_with_room_ : add_region();
    auto const free = ~from->used;
    auto const at_hand = free & from->resident;
    auto const number = static_cast<unsigned>(std::countr_zero(at_hand != 0 ? at_hand : free));
    auto const taken = slab_set{1} << number;
    auto* const begin = reinterpret_cast<char*>(from) + number * slab_size;
    if (at_hand == 0) {
        take_pages(begin, slab_size);
        from->resident |= taken;
        ++resident_slabs_;
        // Not before: the first touch of a huge page stalled all requests for milliseconds.
        if (from->resident == all_slabs) advise_huge_page(from, region_size);
    }
    from->used |= taken;
    ++used_slabs_;
    if (!has_room(*from)) unlink(regions_with_room_, from);
    auto* const made = new (number == 0 ? begin + sizeof(region) : begin) slab;
    made->block_size = block_size;
    made->fresh = reinterpret_cast<char*>(made + 1);
    return made;
}

void record_memory::give_back(slab* empty) noexcept {
    auto* const begin = enclosing<char>(empty, slab_size);
    auto* const of = enclosing<region>(empty, region_size);
    auto const given = slab_set{1} << (static_cast<std::size_t>(begin - reinterpret_cast<char*>(of)) / slab_size);
    if (!has_room(*of)) link(regions_with_room_, of);
    of->used &= ~given;
    --used_slabs_;
    if (of->used == 0 && region_count_ > 1) return give_back(of);
    // A page that is larger than a slab is the neighbour's, too.
    if (!has_spare_slabs() || slab_size % page_size() != 0) return;
    if (of->resident == all_slabs) advise_small_pages(of, region_size);
    auto const notes = begin == reinterpret_cast<char*>(of) ? page_size() : 0;  // of the region, in its first page
    give_pages_back(begin + notes, slab_size - notes);
    of->resident &= ~given;
    --resident_slabs_;
}

bool record_memory::has_spare_slabs() const noexcept {
    return resident_slabs_ - used_slabs_ > spare_slabs + used_slabs_ / spare_part;
}

record_memory::region* record_memory::add_region() {
    auto* const added = new (map_aligned(region_size)) region;
    ++region_count_;
    link(regions_with_room_, added);
    return added;
}

void record_memory::give_back(region* empty) noexcept {
    unlink(regions_with_room_, empty);
    --region_count_;
    resident_slabs_ -= static_cast<std::size_t>(std::popcount(empty->resident));
    unmap(empty, region_size);
}

void record_memory::release() noexcept {
    if (users_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

template <class T>
void record_memory::link(T*& first, T* added) noexcept {
    added->previous = nullptr;
    added->next = first;
    if (first != nullptr) first->previous = added;
    first = added;
}

template <class T>
void record_memory::unlink(T*& first, T* removed) noexcept {
    if (removed->next != nullptr) removed->next->previous = removed->previous;
    (removed->previous != nullptr ? removed->previous->next : first) = removed->next;
}

/// The first slab of a region begins behind the region's own notes.
record_memory::slab* record_memory::slab_of(void* block) noexcept {
    auto* const begin = enclosing<char>(block, slab_size);
    bool const is_first = begin == enclosing<char>(block, region_size);
    return reinterpret_cast<slab*>(is_first ? begin + sizeof(region) : begin);
}

bool record_memory::has_room(slab const& in) noexcept {
    auto const end = (reinterpret_cast<std::uintptr_t>(&in) & ~(slab_size - 1)) + slab_size;
    return in.free != nullptr || end - reinterpret_cast<std::uintptr_t>(in.fresh) >= in.block_size;
}

bool record_memory::has_room(region const& in) noexcept { return in.used != all_slabs; }

}  // namespace idempo::detail
