// SPDX-License-Identifier: MIT
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/append.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/query.hpp>
#include <boost/system/error_code.hpp>

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <utility>

/// \file
/// `asio::steady_timer` without a reactor: timers wait in their execution context until the world lets them run out.
/// The compiler includes this before everything else, so that the library's drivers and heartbeats have these timers.

namespace idempo::simulation {

/// The timers of one execution context.
class timer_room : public boost::asio::execution_context::service {
public:
    using time_point = std::chrono::steady_clock::time_point;

    inline static boost::asio::execution_context::id id;

    struct waiting {
        waiting() = default;
        waiting(waiting const&) = delete;
        waiting& operator=(waiting const&) = delete;
        virtual ~waiting() = default;
        virtual void finish(boost::system::error_code error) = 0;
    };
    using queue = std::multimap<time_point, std::unique_ptr<waiting>>;

    explicit timer_room(boost::asio::execution_context& context) : service(context) {}

    queue::iterator add(time_point when, std::unique_ptr<waiting> what) {
        return queue_.emplace(when, std::move(what));
    }

    void finish(queue::iterator which, boost::system::error_code error) {
        auto const what = std::move(which->second);
        queue_.erase(which);
        what->finish(error);
    }

    [[nodiscard]] std::optional<time_point> next() const {
        return queue_.empty() ? std::nullopt : std::optional(queue_.begin()->first);
    }

    void run_until(time_point now) {
        while (!queue_.empty() && queue_.begin()->first <= now) finish(queue_.begin(), {});
    }

private:
    void shutdown() override {
        auto const dropped = std::move(queue_);
        queue_.clear();
    }

    queue queue_;
};

}  // namespace idempo::simulation

namespace boost::asio {

template <class Executor>
class basic_waitable_timer<std::chrono::steady_clock, wait_traits<std::chrono::steady_clock>, Executor> {
    using room = idempo::simulation::timer_room;

public:
    using executor_type = Executor;
    using clock_type = std::chrono::steady_clock;
    using duration = clock_type::duration;
    using time_point = clock_type::time_point;
    template <class Other>
    struct rebind_executor {
        using other = basic_waitable_timer<clock_type, wait_traits<clock_type>, Other>;
    };

    explicit basic_waitable_timer(Executor const& executor)
        : executor_(executor),
          room_(&use_service<room>(query(executor_, execution::context))),
          state_(std::make_shared<state>()) {}
    basic_waitable_timer(Executor const& executor, duration after) : basic_waitable_timer(executor) {
        expires_after(after);
    }
    basic_waitable_timer(Executor const& executor, time_point at) : basic_waitable_timer(executor) { expires_at(at); }
    basic_waitable_timer(basic_waitable_timer&&) noexcept = default;
    basic_waitable_timer& operator=(basic_waitable_timer&&) noexcept = default;
    basic_waitable_timer(basic_waitable_timer const&) = delete;
    basic_waitable_timer& operator=(basic_waitable_timer const&) = delete;
    ~basic_waitable_timer() {
        if (state_) cancel();
    }

    [[nodiscard]] executor_type get_executor() const noexcept { return executor_; }
    [[nodiscard]] time_point expiry() const { return expiry_; }

    std::size_t expires_at(time_point when) {
        auto const cancelled = cancel();
        expiry_ = when;
        return cancelled;
    }
    std::size_t expires_after(duration after) { return expires_at(clock_type::now() + after); }

    std::size_t cancel() {
        if (!state_->place) return 0;
        room_->finish(*state_->place, error::operation_aborted);
        return 1;
    }

    /// One wait at a time.
    template <class Token>
    auto async_wait(Token&& token) {
        return async_initiate<Token, void(boost::system::error_code)>(
            [this](auto handler) {
                auto executor = get_associated_executor(handler, executor_);
                using wait = waiting_handler<decltype(handler), decltype(executor)>;
                state_->place =
                    room_->add(expiry_, std::make_unique<wait>(std::move(handler), std::move(executor), state_));
            },
            token);
    }

private:
    struct state {
        std::optional<room::queue::iterator> place;
    };

    template <class Handler, class Where>
    struct waiting_handler final : room::waiting {
        waiting_handler(Handler waits, Where executor, std::shared_ptr<state> of)
            : handler(std::move(waits)),
              where(std::move(executor)),
              timer(std::move(of)) {}
        ~waiting_handler() override { timer->place.reset(); }

        void finish(boost::system::error_code error) override {
            timer->place.reset();
            post(where, append(std::move(handler), error));
        }

        Handler handler;
        Where where;
        std::shared_ptr<state> timer;
    };

    Executor executor_;
    room* room_;
    std::shared_ptr<state> state_;
    time_point expiry_{};
};

}  // namespace boost::asio
