// SPDX-License-Identifier: MIT
#pragma once

#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <ucontext.h>

/// \file
/// What the simulation has instead of the threads of the store: functions with stacks of their own, which give way
/// to each other where a thread would wait. One runs at a time, in virtual time.

namespace idempo::simulation {

class fiber : public std::enable_shared_from_this<fiber> {
public:
    explicit fiber(std::function<void()> body);
    fiber(fiber const&) = delete;
    fiber& operator=(fiber const&) = delete;
    /// \pre it has not begun, or has ended
    ~fiber();

    /// Goes on with it until it waits, or ends. Not from within a fiber.
    void resume();
    /// The one that runs waits for the next `resume`.
    static void suspend();
    /// Null outside of fibers.
    [[nodiscard]] static fiber* running() noexcept;

    [[nodiscard]] bool has_ended() const noexcept { return has_ended_; }
    /// How often it has gone on.
    [[nodiscard]] std::uint64_t turn() const noexcept { return turn_; }

private:
    static void run();
    void switch_to_fiber();
    void switch_back();

    std::function<void()> body_;
    std::unique_ptr<std::byte[]> stack_;
    ucontext_t own_{};
    ucontext_t resumer_{};
    /// Exceptions that are being handled belong to a stack, and not to a thread.
    struct exceptions {
        void* caught = nullptr;
        unsigned uncaught = 0;
    };
    exceptions exceptions_{};
    /// For sanitizers, which follow stacks and threads.
    void* handle_ = nullptr;
    void* resumers_handle_ = nullptr;
    void* sanitizers_stack_ = nullptr;
    void const* resumers_stack_ = nullptr;
    std::size_t resumers_size_ = 0;
    std::uint64_t turn_ = 0;
    bool has_ended_ = false;
};

/// The fibers of one process. They run as its timers and its handlers do.
class fiber_room : public boost::asio::execution_context::service {
public:
    using time_point = std::chrono::steady_clock::time_point;

    inline static boost::asio::execution_context::id id;

    explicit fiber_room(boost::asio::execution_context& context) : service(context) {}

    /// Begins when the process's handlers run next.
    std::shared_ptr<fiber> start(std::function<void()> body);

    /// The fiber that runs waits until it is woken, or until then. It may be woken for no reason.
    void wait(std::optional<time_point> until = std::nullopt);

    /// As a handler of the process, unless it has gone on meanwhile.
    void wake(std::weak_ptr<fiber> const& which, std::uint64_t turn);

    /// That in which the fiber runs that runs.
    [[nodiscard]] static fiber_room& of_running();

    /// Goes on with it, now, until it has ended.
    void finish(fiber& which);

private:
    void shutdown() override {}
    void go_on(fiber& which);
    [[nodiscard]] boost::asio::io_context& process() { return static_cast<boost::asio::io_context&>(context()); }
};

}  // namespace idempo::simulation
