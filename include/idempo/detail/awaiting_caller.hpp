// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/call_completion.hpp>
#include <idempo/detail/post_to.hpp>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/append.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/beast/http/message_generator.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <utility>

/// \file
/// A call whose caller is a coroutine that runs the handler itself, instead of one that is told by a completion
/// handler.

namespace idempo::detail {

/// In the place of a completion handler.
template <class Executor>
class awaiting_caller {
public:
    using executor_type = Executor;

    explicit awaiting_caller(Executor executor) : executor_(std::move(executor)) {}

    [[nodiscard]] executor_type get_executor() const noexcept { return executor_; }

private:
    Executor executor_;
};

template <class Completion>
inline constexpr bool is_awaiting_caller = false;
template <class Executor>
inline constexpr bool is_awaiting_caller<awaiting_caller<Executor>> = true;

/// The operation and the coroutine take turns. Whose turn it is owns the operation: the coroutine while it runs the
/// handler, and what the operation waits for while the coroutine waits. So neither outlives an executor that ends.
template <class Executor>
class call_completion<awaiting_caller<Executor>> {
public:
    using owner = std::shared_ptr<void>;

    call_completion(awaiting_caller<Executor>&& caller, call_executor where)
        : caller_(std::move(caller)),
          where_(std::move(where)) {}

    /// A coroutine is work for its context.
    void expect() noexcept {}
    void initiated() noexcept {}

    /// Once, instead of `give_turn`.
    void complete(http::message_generator message, owner operation) {
        message_.emplace(std::move(message));
        give_turn(std::move(operation));
    }

    /// The operation goes on when the coroutine tells it. The coroutine may run, and end, before this returns.
    void give_turn(owner operation) {
        if (!has_turn_.exchange(true, std::memory_order_acq_rel)) return;
        // Until this has returned: the coroutine may end its context's work meanwhile, and that may be destroyed then.
        auto const work = boost::asio::make_work_guard(caller_.get_executor());
        boost::asio::dispatch(boost::asio::append(std::move(*waiting_), std::move(operation)));
    }

    /// \name For the coroutine
    /// @{
    [[nodiscard]] bool has_turn() const noexcept { return has_turn_.load(std::memory_order_acquire); }

    /// Completes with `void(owner)`, which is to be kept from then on.
    /// \param operation the coroutine's own reference, which it gives up
    template <class Token>
    auto async_turn(owner& operation, Token&& token) {
        return boost::asio::async_initiate<Token, void(owner)>(
            [this, &operation](auto resume) {
                auto kept = std::move(operation);
                waiting_.emplace(std::move(resume));
                bool const came_meanwhile = has_turn_.exchange(true, std::memory_order_acq_rel);
                if (!came_meanwhile) return;
                post_to(where_.executor, std::move(*waiting_), std::move(kept));
            },
            token);
    }

    /// Before it tells the operation something, having had its turn.
    void end_turn() noexcept { has_turn_.store(false, std::memory_order_relaxed); }

    /// The answer, once it is there.
    [[nodiscard]] std::optional<http::message_generator>& message() noexcept { return message_; }
    /// @}

    [[nodiscard]] awaiting_caller<Executor> const& handler() const noexcept { return caller_; }
    [[nodiscard]] call_executor const& where() const noexcept { return where_; }

private:
    awaiting_caller<Executor> caller_;
    call_executor where_;
    /// The coroutine has its turn, or waits for it: whoever comes second resumes it.
    std::atomic<bool> has_turn_{false};
    /// Optional, since in Asio 1.26 (Boost 1.81) assigning one never ends.
    std::optional<boost::asio::any_completion_handler<void(owner)>> waiting_;
    std::optional<http::message_generator> message_;
};

}  // namespace idempo::detail
