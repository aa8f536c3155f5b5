#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

namespace idempo {

/// Immutable bytes with shared ownership: a record as a store keeps it. Copying never copies the bytes.
/// One allocation for count and bytes together. Copies may be used from different threads.
class shared_bytes {
public:
    shared_bytes() = default;

    /// Copies `bytes`.
    explicit shared_bytes(std::string_view bytes)
        : shared_bytes(bytes.size(), [bytes](char* to) { bytes.copy(to, bytes.size()); }) {}

    /// `size` bytes, written once by `fill(char*)` before anybody else can see them.
    template <class Fill>
    shared_bytes(std::size_t size, Fill&& fill) : size_(size) {
        auto data = std::make_shared_for_overwrite<char[]>(size);
        fill(data.get());
        data_ = std::move(data);
    }

    [[nodiscard]] std::string_view view() const noexcept { return {data_.get(), size_}; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

private:
    std::shared_ptr<char const[]> data_;
    std::size_t size_ = 0;
};

}  // namespace idempo
