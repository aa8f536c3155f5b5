// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <thread>
#include <type_traits>
#include <vector>

namespace idempo::testing {

/// The results of `action(0)` … `action(count - 1)`, each run on its own thread, all released at the same moment.
/// \throws the exception of an action, once all have ended.
template <class Action>
auto race(std::size_t count, Action action) {
    std::vector<std::invoke_result_t<Action&, std::size_t>> results(count);
    std::vector<std::exception_ptr> failures(count);
    std::atomic<std::size_t> ready{0};
    {
        std::vector<std::jthread> threads;
        for (std::size_t i = 0; i < count; ++i) {
            threads.emplace_back([&, i] {
                ++ready;
                while (ready < count) std::this_thread::yield();
                try {
                    results[i] = action(i);
                } catch (...) {
                    failures[i] = std::current_exception();
                }
            });
        }
    }
    for (auto const& failure : failures) {
        if (failure) std::rethrow_exception(failure);
    }
    return results;
}

}  // namespace idempo::testing
