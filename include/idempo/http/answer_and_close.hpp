// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/buffers_generator.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <boost/beast/http/message_generator.hpp>

#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <memory>
#include <utility>

/// \file
/// The last answer on a connection, sent so that it arrives.
///
/// A socket that is closed while bytes of the client are unread resets the connection, and the client throws away what
/// it has received: a 413 to an upload is lost. So the server ends its own direction, and reads on for a moment until
/// the client has seen the answer and closes (RFC 9112, section 9.6).

namespace idempo {

namespace http = boost::beast::http;
namespace asio = boost::asio;
namespace beast = boost::beast;

/// How long a server reads on after its last answer.
struct linger_limits {
    std::chrono::milliseconds time{2000};
    std::size_t bytes = std::size_t{64} << 20;
};

namespace detail {

/// The socket of a stream: of `tcp::socket`, `beast::tcp_stream`, or any layer over them (TLS).
template <class Stream>
decltype(auto) socket_of(Stream& stream) {
    auto& lowest = boost::beast::get_lowest_layer(stream);
    if constexpr (requires { lowest.socket(); }) {
        return (lowest.socket());
    } else {
        static_assert(
            requires { lowest.native_handle(); },
            "idempo: answer_and_close needs a socket, a beast::tcp_stream, or a layer over one");
        return (lowest);
    }
}

/// Deadlines of the stream's own would end what the linger limits are for.
template <class Stream>
void forget_deadline(Stream& stream) {
    auto& lowest = boost::beast::get_lowest_layer(stream);
    if constexpr (requires { lowest.expires_never(); }) lowest.expires_never();
}

/// Layers that encrypt say that nothing follows by a message of their own.
template <class Stream>
concept says_goodbye = requires(Stream& stream, error_code& ec) { stream.shutdown(ec); };

/// Waits until the socket can be read; false at the deadline.
[[nodiscard]] bool wait_for_input(int socket, std::chrono::steady_clock::time_point deadline);

/// Ends the server's direction and reads on. Whatever fails here, there is nothing left to lose.
template <class SyncStream>
void linger(SyncStream& stream, linger_limits limits) {
    auto const deadline = std::chrono::steady_clock::now() + limits.time;
    auto& socket = socket_of(stream);
    error_code ignored;
    socket.non_blocking(true, ignored);
    if constexpr (says_goodbye<SyncStream>) stream.shutdown(ignored);
    socket.shutdown(asio::socket_base::shutdown_send, ignored);
    std::array<char, 4096> discarded;
    std::size_t size = 0;
    while (size < limits.bytes && std::chrono::steady_clock::now() < deadline) {
        error_code ec;
        size += socket.read_some(asio::buffer(discarded), ec);
        if (ec == asio::error::would_block && wait_for_input(socket.native_handle(), deadline)) continue;
        if (ec) break;
    }
    socket.shutdown(asio::socket_base::shutdown_both, ignored);
}

/// What outlives the moves of the operation.
struct linger_state {
    explicit linger_state(asio::any_io_executor const& executor) : timer(executor) {}

    asio::steady_timer timer;
    bool is_over = false;
    std::array<char, 4096> discarded{};
};

template <class Stream>
class answer_and_close_operation {
public:
    answer_and_close_operation(Stream& stream, http::message_generator answer, linger_limits limits)
        : stream_(stream),
          answer_(std::move(answer)),
          limits_(limits),
          state_(std::make_shared<linger_state>(stream.get_executor())) {}

    template <class Self>
    void operator()(Self& self, error_code ec = {}, std::size_t size = 0) {
        switch (std::exchange(next_, step::read)) {
        case step::write:
            start_timer(self);
            next_ = step::say_goodbye;
            beast::async_write(stream_, std::move(answer_), std::move(self));
            return;
        case step::say_goodbye:
            result_ = ec;
            if (ec) break;
            if constexpr (says_goodbye<Stream>) {
                next_ = step::shut_down;
                stream_.async_shutdown(std::move(self));
                return;
            }
            [[fallthrough]];
        case step::shut_down: socket_of(stream_).shutdown(asio::socket_base::shutdown_send, ec); return read(self);
        case step::read:
            size_ += size;
            if (!ec && size_ < limits_.bytes && !state_->is_over) return read(self);
            break;
        }
        finish(self);
    }

private:
    enum class step { write, say_goodbye, shut_down, read };

    template <class Self>
    void read(Self& self) {
        if (state_->is_over) return finish(self);
        auto const free = asio::buffer(state_->discarded);
        beast::get_lowest_layer(stream_).async_read_some(free, std::move(self));
    }

    template <class Self>
    void finish(Self& self) {
        state_->is_over = true;
        state_->timer.cancel();
        error_code ignored;
        socket_of(stream_).shutdown(asio::socket_base::shutdown_both, ignored);
        state_.reset();
        self.complete(result_);
    }

    template <class Self>
    void start_timer(Self& self) {
        forget_deadline(stream_);
        state_->timer.expires_after(limits_.time);
        auto const executor = asio::get_associated_executor(self, stream_.get_executor());
        state_->timer.async_wait(asio::bind_executor(executor, [state = state_, &stream = stream_](error_code ec) {
            if (ec || state->is_over) return;  // where it is over, the stream may be gone
            state->is_over = true;
            error_code ignored;
            socket_of(stream).cancel(ignored);
        }));
    }

    Stream& stream_;
    http::message_generator answer_;
    linger_limits limits_;
    std::shared_ptr<linger_state> state_;
    error_code result_;
    std::size_t size_ = 0;
    step next_ = step::write;
};

}  // namespace detail

/// Sends `answer`, ends the server's direction, and reads on within the limits, so that the answer reaches a client
/// that is still sending. The socket is shut down then, both ways, and is the caller's to close.
///
/// \param stream a socket, a `beast::tcp_stream`, or a TLS stream over one. Its socket becomes non-blocking.
/// \param ec why the answer could not be written. What happens afterwards is no error.
template <class SyncStream>
void answer_and_close(SyncStream& stream, http::message_generator answer, linger_limits limits, error_code& ec) {
    beast::write(stream, std::move(answer), ec);
    if (!ec) detail::linger(stream, limits);
}

template <class SyncStream>
void answer_and_close(SyncStream& stream, http::message_generator answer, error_code& ec) {
    idempo::answer_and_close(stream, std::move(answer), linger_limits(), ec);
}

/// The same without blocking; completes with `void(error_code)`. The time includes the writing.
///
/// The stream must stay alive until the handler is called. Its executor, or the handler's where it has one, must run
/// one thing at a time: one thread or a strand, as `beast::tcp_stream` needs it anyway. A deadline of the `tcp_stream`
/// is lifted. Terminal cancellation ends the reading, without an error.
template <class AsyncStream, class Answer,
          asio::completion_token_for<void(error_code)> Token =
              asio::default_completion_token_t<beast::executor_type<AsyncStream>>>
    requires std::constructible_from<http::message_generator, Answer>
auto async_answer_and_close(AsyncStream& stream, Answer&& answer, linger_limits limits, Token&& done = {}) {
    return asio::async_compose<Token, void(error_code)>(
        detail::answer_and_close_operation<AsyncStream>(stream, http::message_generator(std::forward<Answer>(answer)),
                                                        limits),
        done, stream);
}

template <class AsyncStream, class Answer,
          asio::completion_token_for<void(error_code)> Token =
              asio::default_completion_token_t<beast::executor_type<AsyncStream>>>
    requires std::constructible_from<http::message_generator, Answer>
auto async_answer_and_close(AsyncStream& stream, Answer&& answer, Token&& done = {}) {
    return idempo::async_answer_and_close(stream, std::forward<Answer>(answer), linger_limits(),
                                          std::forward<Token>(done));
}

}  // namespace idempo
