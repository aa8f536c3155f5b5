// SPDX-License-Identifier: MIT
#pragma once

#include <malloc.h>

#include <cstddef>

namespace idempo::tests {

/// How many bytes this process has allocated and not freed; 0 under a sanitizer.
inline std::size_t bytes_in_use() {
    auto const all = ::mallinfo2();
    return all.uordblks + all.hblkhd;
}

}  // namespace idempo::tests
