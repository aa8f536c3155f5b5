// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory_resource>
#include <new>
#include <string_view>
#include <utility>

namespace idempo {

/// Immutable bytes with shared ownership: a record as a store keeps it. A copy shares the bytes and costs an atomic
/// increment. The count, the size and the bytes are one allocation. Copies may be used from different threads. Less
/// than 4 GiB: for more there is no memory.
class shared_bytes {
public:
    shared_bytes() = default;

    /// Copies `bytes` into memory of `memory`, which must outlive all copies of the result.
    /// \throws std::bad_alloc
    explicit shared_bytes(std::string_view bytes, std::pmr::memory_resource* memory = std::pmr::new_delete_resource())
        : shared_bytes(
              bytes.size(), [bytes](char* to) { bytes.copy(to, bytes.size()); }, memory) {}

    /// `size` bytes that `fill(char*)` writes before anybody else can see them.
    /// \throws std::bad_alloc, and whatever `fill` throws
    template <class Fill>
    shared_bytes(std::size_t size, Fill&& fill, std::pmr::memory_resource* memory = std::pmr::new_delete_resource()) {
        if (size > std::numeric_limits<std::uint32_t>::max()) throw std::bad_alloc();
        shared_bytes made(new (memory->allocate(sizeof(block) + size, alignof(block)))
                              block{1, static_cast<std::uint32_t>(size), memory});
        std::forward<Fill>(fill)(made.block_->data());
        block_ = std::exchange(made.block_, nullptr);
    }

    shared_bytes(shared_bytes const& other) noexcept : block_(other.block_) {
        if (block_ != nullptr) block_->owners.fetch_add(1, std::memory_order_relaxed);
    }
    shared_bytes(shared_bytes&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
    shared_bytes& operator=(shared_bytes other) noexcept {
        std::swap(block_, other.block_);
        return *this;
    }
    ~shared_bytes() {
        if (block_ != nullptr && block_->owners.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy(block_);
    }

    [[nodiscard]] std::string_view view() const noexcept {
        return block_ == nullptr ? std::string_view() : std::string_view(block_->data(), block_->size);
    }
    [[nodiscard]] std::size_t size() const noexcept { return block_ == nullptr ? 0 : block_->size; }
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }

private:
    /// What stands before the bytes.
    struct block {
        std::atomic<std::uint32_t> owners;
        std::uint32_t size;
        std::pmr::memory_resource* memory;

        char* data() noexcept { return reinterpret_cast<char*>(this + 1); }
    };

    explicit shared_bytes(block* owned) noexcept : block_(owned) {}

    static void destroy(block* last) noexcept {
        std::size_t const size = sizeof(block) + last->size;
        auto* const memory = last->memory;
        last->~block();
        memory->deallocate(last, size, alignof(block));
    }

    block* block_ = nullptr;
};

}  // namespace idempo
