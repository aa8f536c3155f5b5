// SPDX-License-Identifier: MIT
#include "common/random_id.hpp"

#include <cstdint>
#include <random>

std::string random_id(std::string_view prefix) {
    constexpr std::string_view digits = "0123456789abcdef";
    constexpr int digit_count = 16;
    thread_local std::mt19937_64 generator = [] {
        std::random_device device;
        std::seed_seq seed{device(), device(), device(), device()};
        return std::mt19937_64(seed);
    }();

    std::string id(prefix);
    std::uint64_t bits = generator();
    for (int digit = 0; digit < digit_count; ++digit, bits >>= 4U) id += digits[bits & 0xFU];
    return id;
}
