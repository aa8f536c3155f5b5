// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/http/answer_and_close.hpp>

#include <poll.h>

#include <algorithm>
#include <cerrno>

namespace idempo::detail {

bool wait_for_input(int socket, std::chrono::steady_clock::time_point deadline) {
    using std::chrono::milliseconds;
    pollfd waiting{socket, POLLIN, 0};
    while (true) {
        auto const remaining = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
        auto const timeout = std::clamp(remaining, milliseconds(0), milliseconds(std::chrono::hours(1)));
        int const ready = ::poll(&waiting, 1, static_cast<int>(timeout.count()));
        if (ready > 0) return true;
        if (ready < 0 && errno != EINTR) return false;
        if (ready == 0 && remaining <= timeout) return false;
    }
}

}  // namespace idempo::detail
