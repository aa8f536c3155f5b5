// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/stores/record_memory.hpp>

#include <new>

#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
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

/// The system makes one of the pages when it has time. Where it has no huge pages, nothing changes.
void advise_huge_page([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t size) noexcept {
#ifdef MADV_HUGEPAGE
    static_cast<void>(::madvise(memory, size, MADV_HUGEPAGE));
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

}  // namespace

record_memory::~record_memory() {
    // No block is left, so that no region but the last, which is kept, can be there.
    if (regions_with_room_ != nullptr) {
        allow(regions_with_room_, region_size);
        ::operator delete(regions_with_room_, std::align_val_t{region_size});
    }
}

void* record_memory::do_allocate(std::size_t size, std::size_t alignment) {
    void* block = nullptr;
    if (size > largest_slab_block || alignment > granule) {
        block = ::operator new(size, std::align_val_t{alignment});
    } else {
        block = allocate_in_slab(size == 0 ? 0 : (size - 1) / granule);
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
    if (first == nullptr) link(first, take_slab((size_class + 1) * granule));
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
    auto& first = slabs_with_room_[of->block_size / granule - 1];
    if (!has_room(*of)) link(first, of);
    of->free = new (block) free_block{of->free};
    forbid(block, of->block_size);
    if (--of->blocks_in_use > 0) return;
    unlink(first, of);
    give_back(of);
}

record_memory::slab* record_memory::take_slab(std::size_t block_size) {
    region* const from = regions_with_room_ != nullptr ? regions_with_room_ : add_region();
    slab* taken = from->free;
    if (taken != nullptr) {
        from->free = taken->next;
    } else {
        auto* const begin = reinterpret_cast<char*>(from) + from->fresh * slab_size;
        taken = reinterpret_cast<slab*>(from->fresh == 0 ? begin + sizeof(region) : begin);
        ++from->fresh;
        take_pages(begin, slab_size);
        // Not before: the first touch of a huge page stalled all requests for milliseconds.
        if (from->fresh == region_size / slab_size) advise_huge_page(from, region_size);
    }
    ++from->slabs_in_use;
    if (!has_room(*from)) unlink(regions_with_room_, from);
    taken = new (taken) slab;
    taken->block_size = block_size;
    taken->fresh = reinterpret_cast<char*>(taken + 1);
    return taken;
}

void record_memory::give_back(slab* empty) noexcept {
    auto* const of = enclosing<region>(empty, region_size);
    if (!has_room(*of)) link(regions_with_room_, of);
    empty->next = of->free;
    of->free = empty;
    if (--of->slabs_in_use == 0 && region_count_ > 1) give_back(of);
}

record_memory::region* record_memory::add_region() {
    auto* const memory = ::operator new(region_size, std::align_val_t{region_size});
    auto* const added = new (memory) region;
    ++region_count_;
    link(regions_with_room_, added);
    return added;
}

void record_memory::give_back(region* empty) noexcept {
    unlink(regions_with_room_, empty);
    --region_count_;
    allow(empty, region_size);
    ::operator delete(empty, std::align_val_t{region_size});
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

bool record_memory::has_room(region const& in) noexcept {
    return in.free != nullptr || in.fresh < region_size / slab_size;
}

}  // namespace idempo::detail
