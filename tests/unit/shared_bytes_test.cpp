// SPDX-License-Identifier: MIT
#include <idempo/shared_bytes.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <memory_resource>
#include <new>

TEST_CASE("shared_bytes: 4 GiB are more memory than there is", "[shared_bytes]") {
    bool is_filled = false;
    auto const fill = [&is_filled](char*) { is_filled = true; };
    constexpr auto least_refused = std::size_t{4} * 1024 * 1024 * 1024;
    CHECK_THROWS_AS(idempo::shared_bytes(least_refused, fill), std::bad_alloc);
    CHECK_FALSE(is_filled);
    // One byte less is asked for, and refused by who has none.
    CHECK_THROWS_AS(idempo::shared_bytes(least_refused - 1, fill, std::pmr::null_memory_resource()), std::bad_alloc);
}
