// SPDX-License-Identifier: MIT

// Preloaded into a server, it shifts the wall clock by CLOCK_SHIFT_SECONDS. The monotonic clock is unchanged, as when
// an administrator sets the time.

#include "coarser_clocks.hpp"

#include <cstdlib>
#include <ctime>

#include <sys/syscall.h>
#include <unistd.h>

namespace {

std::time_t shift() {
    auto const* const seconds = std::getenv("CLOCK_SHIFT_SECONDS");
    return seconds != nullptr ? std::atol(seconds) : 0;
}

}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* now) noexcept {
    auto const result = static_cast<int>(::syscall(SYS_clock_gettime, clock, now));
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) now->tv_sec += shift();
    return result;
}
