// SPDX-License-Identifier: MIT
#pragma once

#include <ctime>

#include <sys/time.h>

/// \file
/// For one file of a library that is preloaded and replaces `clock_gettime`: the calls that show less of that clock.

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
