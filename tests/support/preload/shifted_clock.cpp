// SPDX-License-Identifier: MIT

// Preloaded into a server, it shifts the wall clock by CLOCK_SHIFT_SECONDS. The monotonic clock is unchanged, as when
// an administrator sets the time.

#include <cstdlib>
#include <ctime>

#include <sys/syscall.h>
#include <sys/time.h>
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

extern "C" int gettimeofday(timeval* now, void*) noexcept {
    timespec exact{};
    auto const result = ::clock_gettime(CLOCK_REALTIME, &exact);
    *now = {exact.tv_sec, exact.tv_nsec / 1000};
    return result;
}

extern "C" std::time_t time(std::time_t* copy) noexcept {
    timespec exact{};
    ::clock_gettime(CLOCK_REALTIME, &exact);
    if (copy != nullptr) *copy = exact.tv_sec;
    return exact.tv_sec;
}
