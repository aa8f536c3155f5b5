// SPDX-License-Identifier: MIT
#pragma once

#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <chrono>
#include <cstddef>
#include <utility>

/// A blocking stream with a deadline. Asio's blocking calls have none: they wait on when SO_RCVTIMEO has run out.
class deadline_socket {
public:
    using error_code = boost::system::error_code;

    explicit deadline_socket(boost::asio::ip::tcp::socket socket) : socket_(std::move(socket)) {
        error_code ignored;
        socket_.non_blocking(true, ignored);
    }

    /// For all that follows, until it is called again.
    void expires_after(std::chrono::milliseconds timeout) { deadline_ = std::chrono::steady_clock::now() + timeout; }

    /// \name SyncReadStream and SyncWriteStream
    /// @{
    template <class Buffers>
    std::size_t read_some(Buffers const& buffers, error_code& error) {
        return wait_and([&] { return socket_.read_some(buffers, error); }, direction::read, error);
    }
    template <class Buffers>
    std::size_t write_some(Buffers const& buffers, error_code& error) {
        return wait_and([&] { return socket_.write_some(buffers, error); }, direction::write, error);
    }
    template <class Buffers>
    std::size_t read_some(Buffers const& buffers) {
        return or_throw([&](error_code& error) { return read_some(buffers, error); });
    }
    template <class Buffers>
    std::size_t write_some(Buffers const& buffers) {
        return or_throw([&](error_code& error) { return write_some(buffers, error); });
    }
    /// @}

    /// For `idempo::answer_and_close`.
    [[nodiscard]] boost::asio::ip::tcp::socket& socket() noexcept { return socket_; }

    /// Ends a read on another thread, and all later ones. The only member for other threads.
    static void end_reading(boost::asio::ip::tcp::socket::native_handle_type handle) noexcept;

private:
    enum class direction { read, write };

    template <class Operation>
    std::size_t wait_and(Operation operation, direction toward, error_code& error) {
        while (true) {
            auto const transferred = operation();
            if (error != boost::asio::error::would_block) return transferred;
            if (!wait(toward, error)) return 0;
        }
    }

    template <class Operation>
    static std::size_t or_throw(Operation operation) {
        error_code error;
        auto const transferred = operation(error);
        if (error) throw boost::system::system_error(error);
        return transferred;
    }

    /// Until it can be read or written; false at the deadline, with `error`.
    bool wait(direction toward, error_code& error);

    boost::asio::ip::tcp::socket socket_;
    std::chrono::steady_clock::time_point deadline_ = std::chrono::steady_clock::time_point::max();
};
