// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/testing/contract_lines.hpp>
#include <idempo/testing/store_fixture.hpp>

#if __has_include(<catch2/catch_test_macros.hpp>)
#include <catch2/catch_message.hpp>
#include <catch2/catch_test_macros.hpp>
#else
#include <catch2/catch.hpp>
#endif

#include <cstdint>
#include <random>

/// \file
/// The contract of `idempo/store.hpp` as a Catch2 test (2.13 and 3) for any store:
///
///     struct my_fixture { … };  // see store_fixture.hpp
///
///     TEST_CASE("my_store: keeps the contract") {
///         my_fixture fixture;
///         idempo::testing::store_contract(fixture);
///     }
///
/// Each line is a section, so Catch2 runs the test case, and makes the fixture, once for each line. Test an
/// asynchronous store through `idempo::blocking`.
///
/// Two lines of the contract are invisible from outside a store and not tested here: whose clock judges time, and what
/// an operation does when its server does not answer.

namespace idempo::testing {

/// Checks every line of the contract, each in a section of its own.
/// \param seed for the random history; by default a new one in each run. A violation names it.
template <store_fixture F>
void store_contract(F& fixture, std::uint64_t seed = std::random_device{}()) {
    for (auto const& line : contract_lines<F>()) {
        SECTION(line.sentence) {
            auto const found = violations(line, fixture, seed);
            for (auto const& violation : found) UNSCOPED_INFO(violation);
            CHECK(found.empty());
        }
    }
}

}  // namespace idempo::testing
