// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/error.hpp>
#include <idempo/execution.hpp>
#include <idempo/shared_bytes.hpp>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/append.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

/// \file
/// The recovery points of `execution`.

namespace idempo {

namespace asio = boost::asio;

/// The bytes of a step's result. Specialise it for a type of your own, which must be one to return from the step:
///
///     static std::string write(T const& result);
///     static T read(std::string bytes);
template <class T>
struct step_codec;

template <>
struct step_codec<std::string> {
    static std::string write(std::string result) { return result; }
    static std::string read(std::string bytes) { return bytes; }
};

namespace detail {

/// Where an execution keeps its steps: what a driver does for it. At most one step at a time.
class checkpoint {
public:
    using saved_handler = asio::any_completion_handler<void(error_code, bool is_kept)>;

    /// Whether the store can be called in the handler's thread.
    [[nodiscard]] virtual bool keeps_at_once() const noexcept = 0;
    /// Blocks as long as `options::persist_timeout` allows. \pre `keeps_at_once()`
    [[nodiscard]] virtual bool keep(step_place at, shared_bytes step, error_code& error) = 0;
    /// Completes as if by post. \pre the driver has an executor
    virtual void async_keep(step_place at, shared_bytes step, saved_handler done) = 0;
    /// Where the handler runs. \pre the driver has an executor
    [[nodiscard]] virtual asio::any_io_executor executor() const = 0;

protected:
    checkpoint() = default;
    checkpoint(checkpoint const&) = default;
    checkpoint& operator=(checkpoint const&) = default;
    ~checkpoint() = default;
};

template <class T>
struct awaited_step {};
template <class T, class Executor>
struct awaited_step<asio::awaitable<T, Executor>> {
    using result = T;
    using executor = Executor;
};

/// Nothing but that the step was made.
struct no_step_result {};

template <class T>
T step_value(std::string bytes) {
    if constexpr (!std::is_void_v<T>) return step_codec<T>::read(std::move(bytes));
}

/// The step that has begun ends with its scope: without a result, unless it has been kept.
class running_step {
public:
    explicit running_step(execution& of) : of_(of) {}
    running_step(running_step const&) = delete;
    running_step& operator=(running_step const&) = delete;
    ~running_step() {
        if (!has_ended_) of_.steps().end(false);
    }

    [[nodiscard]] shared_bytes entry(std::string_view label, std::string_view result) const {
        return shared_bytes(of_.steps().entry(label, result));
    }
    void end(std::size_t bytes, error_code error, bool is_kept) {
        has_ended_ = true;
        of_.end_step(bytes, error, is_kept);
    }

private:
    execution& of_;
    bool has_ended_ = false;
};

/// Runs the step here and keeps what `make` returns.
template <class T, class Make>
T step_at_once(execution& of, std::string_view label, Make make) {
    if (auto* const keeper = of.steps_to(); keeper != nullptr && !keeper->keeps_at_once()) {
        throw std::logic_error("execution::step: this handler would block the thread that its store needs: make it a "
                               "coroutine");
    }
    auto kept = of.begin_step(label);
    if (kept) return step_value<T>(std::move(*kept));
    running_step running(of);
    auto const keep = [&](std::string const& result) {
        auto const entry = running.entry(label, result);
        auto* const keeper = of.steps_to();
        error_code error;
        bool const is_kept = keeper == nullptr || keeper->keep(of.steps().next(), entry, error);
        running.end(entry.size(), error, is_kept);
    };
    if constexpr (std::is_void_v<T>) {
        make(of.derived_key(label));
        keep({});
    } else {
        T result = make(of.derived_key(label));
        keep(step_codec<T>::write(result));
        return result;
    }
}

/// Keeps a result; completes with `void(error_code, bool is_kept)`.
template <class Token>
auto async_keep(execution& of, shared_bytes entry, Token&& done) {
    return asio::async_initiate<Token, void(error_code, bool)>(
        [](auto handler, execution* keeping, shared_bytes step) {
            auto& to = *keeping->steps_to();
            to.async_keep(keeping->steps().next(), std::move(step), std::move(handler));
        },
        done, &of, std::move(entry));
}

template <class T, class Executor, class F>
// NOLINTNEXTLINE(*-avoid-reference-coroutine-parameters): an execution lives as long as its handler, which awaits this
asio::awaitable<T, Executor> step_awaited(execution& of, std::string label, F make) {
    auto kept = of.begin_step(label);
    if (kept) co_return step_value<T>(std::move(*kept));
    running_step running(of);
    auto key = of.derived_key(label);
    std::conditional_t<std::is_void_v<T>, no_step_result, std::optional<T>> result;
    shared_bytes entry;
    if constexpr (std::is_void_v<T>) {
        co_await make(std::move(key));
        entry = running.entry(label, {});
    } else {
        result.emplace(co_await make(std::move(key)));
        entry = running.entry(label, step_codec<T>::write(*result));
    }
    error_code error;
    bool is_kept = true;
    if (of.steps_to() != nullptr) {
        asio::use_awaitable_t<Executor> const wait;
        is_kept = co_await async_keep(of, entry, asio::redirect_error(wait, error));
    }
    running.end(entry.size(), error, is_kept);
    if constexpr (!std::is_void_v<T>) co_return std::move(*result);
}

/// One step of a handler with a completion token.
template <class Handler, class F>
class step_call : public std::enable_shared_from_this<step_call<Handler, F>> {
public:
    step_call(execution& of, std::string label, Handler handler, F make, asio::any_io_executor where)
        : of_(of),
          label_(std::move(label)),
          handler_(std::move(handler)),
          make_(std::move(make)),
          where_(std::move(where)) {}

    void start() {
        try {
            auto kept = of_.begin_step(label_);
            if (kept) return finish(nullptr, std::move(*kept));
            running_.emplace(of_);
            make_(of_.derived_key(label_),
                  [self = this->shared_from_this()](std::exception_ptr exception, std::string result) {
                      if (self->has_answered_.exchange(true)) return;
                      // Until this has returned: its context may end its work meanwhile, and be destroyed then.
                      auto const work = asio::make_work_guard(self->where_);
                      asio::dispatch(self->where_,
                                     [self, exception = std::move(exception), result = std::move(result)]() mutable {
                                         self->answered(std::move(exception), std::move(result));
                                     });
                  });
        } catch (...) {
            if (!has_answered_.exchange(true)) finish(std::current_exception(), {});
        }
    }

private:
    void answered(std::exception_ptr exception, std::string result) {
        if (exception) return finish(std::move(exception), {});
        try {
            result_ = std::move(result);
            auto entry = running_->entry(label_, result_);
            size_ = entry.size();
            auto* const keeper = of_.steps_to();
            if (keeper == nullptr) return kept({}, true);
            keeper->async_keep(
                of_.steps().next(), std::move(entry),
                asio::bind_executor(where_, [self = this->shared_from_this()](error_code error, bool is_kept) {
                    self->kept(error, is_kept);
                }));
        } catch (...) {
            finish(std::current_exception(), {});
        }
    }

    void kept(error_code error, bool is_kept) {
        try {
            running_->end(size_, error, is_kept);
        } catch (...) {
            return finish(std::current_exception(), {});
        }
        finish(nullptr, std::move(result_));
    }

    void finish(std::exception_ptr exception, std::string result) {
        running_.reset();
        asio::post(where_, asio::append(std::move(handler_), std::move(exception), std::move(result)));
    }

    execution& of_;
    std::string label_;
    Handler handler_;
    F make_;
    asio::any_io_executor where_;
    std::optional<running_step> running_;
    std::atomic<bool> has_answered_{false};
    std::string result_;
    std::size_t size_ = 0;
};

}  // namespace detail

template <class F>
auto execution::step(std::string_view label, F&& f) {
    using made = std::remove_cvref_t<std::invoke_result_t<F&, std::string>>;
    if constexpr (requires { typename detail::awaited_step<made>::result; }) {
        using awaited = detail::awaited_step<made>;
        return detail::step_awaited<typename awaited::result, typename awaited::executor, std::decay_t<F>>(
            *this, std::string(label), std::forward<F>(f));
    } else {
        return detail::step_at_once<made>(*this, label, std::ref(f));
    }
}

template <class F, class Token>
auto execution::async_step(std::string_view label, F&& f, Token&& done) {
    return asio::async_initiate<Token, void(std::exception_ptr, std::string)>(
        [](auto handler, execution* of, std::string name, std::decay_t<F> make) {
            of->require_steps();
            if (of->driver() == nullptr)
                throw std::logic_error("execution::async_step: no layer has made this execution");
            using call = detail::step_call<decltype(handler), std::decay_t<F>>;
            auto where = of->driver()->executor();
            std::make_shared<call>(*of, std::move(name), std::move(handler), std::move(make), std::move(where))
                ->start();
        },
        done, this, std::string(label), std::forward<F>(f));
}

}  // namespace idempo
