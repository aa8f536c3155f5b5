// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace idempo::simulation {

using std::chrono::milliseconds;

/// Numbers that follow from a seed, the same with every standard library (SplitMix64).
class random_source {
public:
    explicit random_source(std::uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15U + 0x1234567) {}

    std::uint64_t next() {
        state_ += 0x9E3779B97F4A7C15U;
        auto mixed = state_;
        mixed = (mixed ^ (mixed >> 30U)) * 0xBF58476D1CE4E5B9U;
        mixed = (mixed ^ (mixed >> 27U)) * 0x94D049BB133111EBU;
        return mixed ^ (mixed >> 31U);
    }

    /// From `least` to `most`, both included.
    std::int64_t between(std::int64_t least, std::int64_t most) {
        return least + static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(most - least + 1));
    }

    std::chrono::microseconds between(milliseconds least, milliseconds most) {
        return std::chrono::microseconds(between(least.count() * 1000, most.count() * 1000));
    }

    bool in_1000(unsigned share) { return next() % 1000 < share; }
    bool in_100(unsigned share) { return in_1000(10 * share); }

    template <class T>
    T const& one_of(std::vector<T> const& values) {
        return values[static_cast<std::size_t>(next() % values.size())];
    }

    /// A source of its own, so that what it is used for does not shift the numbers of this one.
    random_source fork() { return random_source(next()); }

private:
    std::uint64_t state_;
};

}  // namespace idempo::simulation
