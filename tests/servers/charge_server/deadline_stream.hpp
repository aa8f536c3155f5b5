// SPDX-License-Identifier: MIT
#pragma once

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/wait_traits.hpp>
#include <boost/system/error_code.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <utility>

/// A stream with a deadline, after which what is under way ends with `operation_aborted`. Beast's `basic_stream` starts
/// and cancels a timer for each read and each write; here one timer runs on, and looks at the deadline when it fires.
/// Everything happens on its executor.
template <class Executor>
class deadline_stream {
    using clock = std::chrono::steady_clock;

public:
    using executor_type = Executor;
    using socket_type = boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>;

    explicit deadline_stream(socket_type socket) : state_(std::make_shared<state>(std::move(socket))) {}

    [[nodiscard]] executor_type get_executor() { return state_->socket.get_executor(); }
    [[nodiscard]] socket_type& socket() noexcept { return state_->socket; }

    /// For what is under way and all that follows, until it is called again.
    void expires_after(clock::duration span) {
        state_->deadline = clock::now() + span;
        if (!state_->fires_at || *state_->deadline < *state_->fires_at) state::watch(state_);
    }
    void expires_never() noexcept { state_->deadline.reset(); }

    void cancel() noexcept { state_->cancel(); }

    [[nodiscard]] socket_type release_socket() {
        expires_never();
        return std::move(state_->socket);
    }

    /// \name AsyncReadStream and AsyncWriteStream
    /// @{
    template <class Buffers, class Token>
    auto async_read_some(Buffers const& buffers, Token&& token) {
        return state_->socket.async_read_some(buffers, std::forward<Token>(token));
    }
    template <class Buffers, class Token>
    auto async_write_some(Buffers const& buffers, Token&& token) {
        return state_->socket.async_write_some(buffers, std::forward<Token>(token));
    }
    /// @}

private:
    struct state {
        explicit state(socket_type from) : socket(std::move(from)), timer(socket.get_executor()) {}

        static void watch(std::shared_ptr<state> const& self) {
            self->fires_at = self->deadline;
            self->timer.expires_at(*self->deadline);
            self->timer.async_wait([weak = std::weak_ptr(self)](boost::system::error_code replaced) {
                auto const living = weak.lock();
                if (living && !replaced) look(living);
            });
        }

        static void look(std::shared_ptr<state> const& self) {
            self->fires_at.reset();
            if (!self->deadline) return;
            if (clock::now() < *self->deadline) return watch(self);
            self->deadline.reset();
            self->cancel();
        }

        void cancel() noexcept {
            boost::system::error_code ignored;
            socket.cancel(ignored);
        }

        socket_type socket;
        boost::asio::basic_waitable_timer<clock, boost::asio::wait_traits<clock>, Executor> timer;
        std::optional<clock::time_point> deadline;
        /// Until the timer has fired. At the deadline, or before: it may have been moved.
        std::optional<clock::time_point> fires_at;
    };

    std::shared_ptr<state> state_;
};
