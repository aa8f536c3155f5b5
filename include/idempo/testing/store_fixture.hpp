// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/store.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

/// \file
/// What the contract suite needs from the test of a store.

namespace idempo::testing {

/// The store under test and its time.
///
/// - `store()`: the store, by value or by reference. The suite uses random keys, so one shared database serves for many
///   runs. It leaves its records behind, to expire.
/// - `advance(milliseconds)`: returns when that much time has passed on the store's clock, by a manual clock or by
///   waiting. Called from one thread, while no operation is running.
/// - `time_unit()`: the shortest lease that does not end before the next line of a test runs: 1 s with a manual clock,
///   50 ms with a real clock in the process, 200 ms over a network. The suite advances some 100 units in all.
template <class F>
concept store_fixture = requires(F& fixture, std::chrono::milliseconds span) {
    requires store<std::remove_cvref_t<decltype(fixture.store())>>;
    fixture.advance(span);
    { fixture.time_unit() } -> std::convertible_to<std::chrono::milliseconds>;
};

/// The type of a fixture's store.
template <store_fixture F>
using fixture_store = std::remove_cvref_t<decltype(std::declval<F&>().store())>;

/// A fixture that also makes stores which get full.
///
/// - `bounded_store(records)`: an empty store with room for about that many records, and for fewer than 100 times as
///   many; `advance` advances its time, too.
template <class F>
concept bounded_store_fixture = store_fixture<F> && requires(F& fixture, std::size_t records) {
    { fixture.bounded_store(records) } -> std::convertible_to<fixture_store<F>>;
};

}  // namespace idempo::testing
