// SPDX-License-Identifier: MIT
#include "servers/charge_server/deadline_socket.hpp"

#include <boost/beast/core/error.hpp>

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

bool deadline_socket::wait(direction toward, error_code& error) {
    using std::chrono::milliseconds;
    pollfd waiting{socket_.native_handle(), static_cast<short>(toward == direction::read ? POLLIN : POLLOUT), 0};
    while (true) {
        auto const remaining = std::chrono::ceil<milliseconds>(deadline_ - std::chrono::steady_clock::now());
        auto const timeout = std::clamp(remaining, milliseconds(0), milliseconds(std::chrono::hours(1)));
        auto const ready = ::poll(&waiting, 1, static_cast<int>(timeout.count()));
        if (ready > 0) return true;
        if (ready < 0 && errno != EINTR) {
            error.assign(errno, boost::system::system_category());
            return false;
        }
        if (ready == 0 && remaining <= timeout) {
            error = boost::beast::error::timeout;
            return false;
        }
    }
}

void deadline_socket::end_reading(boost::asio::ip::tcp::socket::native_handle_type handle) noexcept {
    ::shutdown(handle, SHUT_RD);
}
