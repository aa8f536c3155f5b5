// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/shared_bytes.hpp>

#include <array>
#include <cstddef>
#include <string_view>
#include <utility>

namespace idempo::detail {

/// A completed record's bytes, taken while others read them: of small ones a copy, since to share them is a write to
/// memory that all their readers would share.
class replayed_bytes {
public:
    replayed_bytes() noexcept {}  // NOLINT(*-use-equals-default): the copy is not initialised, for speed
    replayed_bytes(replayed_bytes const&) = delete;
    replayed_bytes& operator=(replayed_bytes const&) = delete;

    void take(shared_bytes const& bytes) noexcept {
        size_ = bytes.view().copy(copy_.data(), copy_.size());
        if (size_ < bytes.size()) shared_ = bytes;
    }

    /// Allocates, so not under the lock. \throws std::bad_alloc
    [[nodiscard]] shared_bytes release() && {
        return shared_.empty() ? shared_bytes(std::string_view(copy_.data(), size_)) : std::move(shared_);
    }

private:
    std::array<char, 1024> copy_;
    std::size_t size_ = 0;
    shared_bytes shared_;
};

}  // namespace idempo::detail
