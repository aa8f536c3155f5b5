// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/stores/per_core_shared_mutex.hpp>

#include <sched.h>

#include <thread>

namespace idempo::detail {

std::size_t per_core_shared_mutex::this_core() noexcept {
    // A wrong core only costs time: the thread may be on another one by now, or the system may not know.
    return static_cast<std::size_t>(static_cast<unsigned>(::sched_getcpu())) % cores;
}

/// They hold it for less time than it takes to sleep, unless the system has taken their core away.
void per_core_shared_mutex::wait_for_readers() noexcept {
    constexpr int tries_before_yield = 100;
    has_writer_.store(true, std::memory_order_seq_cst);
    for (auto const& count : counts_) {
        for (int tries = 0; count.readers.load(std::memory_order_seq_cst) != 0; ++tries) {
            if (tries >= tries_before_yield) std::this_thread::yield();
        }
    }
}

}  // namespace idempo::detail
