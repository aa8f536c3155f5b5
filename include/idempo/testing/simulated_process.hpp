// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/handler.hpp>
#include <idempo/layers/middleware.hpp>
#include <idempo/options.hpp>
#include <idempo/stores/memory_store.hpp>
#include <idempo/testing/effect_probe.hpp>
#include <idempo/testing/process_store.hpp>
#include <idempo/testing/read_answer.hpp>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/string_body.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

/// \file
/// A server with the handler under test, in this thread, which can die without ending the test.

namespace idempo::testing {

/// What outlives a process: the store, its clock, and the effects.
struct handler_world {
    using clock = std::chrono::steady_clock;

    std::shared_ptr<clock::time_point> now = std::make_shared<clock::time_point>(clock::now());
    memory_store store{{.clock = [now = now] { return *now; }}};
    std::shared_ptr<effect_ledger> effects = std::make_shared<effect_ledger>();
    /// How often a handler was called.
    std::shared_ptr<std::size_t> runs = std::make_shared<std::size_t>(0);

    void advance(std::chrono::milliseconds span) const { *now += span; }
};

/// What came of one request.
struct process_answer {
    /// Empty where the process died, the handler threw through a plain call, or nothing was answered in time.
    std::optional<http::response<http::string_body>> response{};
    bool died = false;
    bool threw = false;

    [[nodiscard]] unsigned status() const { return response ? response->result_int() : 0; }
    [[nodiscard]] bool is_success() const { return response && status() < 400; }
};

namespace detail {

/// The handler, and what is done at the start of each of its runs.
template <class Handler>
struct watched_handler {
    /// Not named `handler`: the library would call such a member itself.
    Handler inner;
    std::function<void(execution&)> starts;

    template <class Request>
        requires(!takes_completion_token<Handler> &&
                 (std::invocable<Handler&, Request, execution&> || std::invocable<Handler&, Request>))
    idempo::detail::handler_result_t<Handler, Request> operator()(Request&& request, execution& of) {
        starts(of);
        return idempo::detail::invoke_handler(inner, std::forward<Request>(request), of);
    }

    template <class Request, class Token>
        requires takes_completion_token<Handler>
    void operator()(Request&& request, execution& of, Token&& token) {
        starts(of);
        idempo::detail::invoke_async_handler(inner, std::forward<Request>(request), of, std::forward<Token>(token));
    }
};

}  // namespace detail

}  // namespace idempo::testing

namespace idempo {

template <class Handler>
inline constexpr bool takes_completion_token<testing::detail::watched_handler<Handler>> =
    takes_completion_token<Handler>;

}  // namespace idempo

namespace idempo::testing {

/// One process with a fresh handler behind the real middleware. Not thread-safe; all of it runs on the caller's thread.
/// \tparam Make makes a handler from an `effect_probe&`
/// \tparam Request a `http::request<Body, Fields>`
template <class Make, request Request>
class simulated_process {
    using handler_type = std::decay_t<std::invoke_result_t<Make const&, effect_probe&>>;
    static constexpr bool is_plain = idempo::detail::runs_at_once<handler_type, Request>;
    using store_type = std::conditional_t<is_plain, process_store, posted_process_store>;

    static_assert(handler<handler_type, Request>, "idempo: what `make` returns is no handler of this request");

public:
    /// \param starts called with the execution at the start of each run
    simulated_process(Make const& make, handler_world const& world, options const& options,
                      effect_interruption interruption = {}, std::function<void(execution&)> starts = {})
        : world_(world),
          probe_(world.effects, std::move(interruption), dead_),
          handle_({make(probe_), counting(std::move(starts))}, store(), options) {}

    simulated_process(simulated_process const&) = delete;
    simulated_process& operator=(simulated_process const&) = delete;
    ~simulated_process() { die(); }

    /// From now on nothing that this process does has an effect.
    void die() noexcept { *dead_ = true; }

    [[nodiscard]] effect_probe const& probe() const noexcept { return probe_; }

    /// Sends a request, and waits for its answer, at most `patience`, and for what the handler does afterwards as far
    /// as that needs no waiting.
    [[nodiscard]] process_answer send(Request request, std::chrono::milliseconds patience) {
        process_answer answer;
        try {
            if constexpr (is_plain) {
                answer.response = read_answer(http::message_generator(handle_(std::move(request))));
            } else {
                answer.response = wait_for_answer(std::move(request), patience);
            }
        } catch (...) {
            // What leaves an executor ends a process.
            if constexpr (!is_plain) die();
            answer.threw = true;
        }
        if (*dead_) answer = {std::nullopt, true, false};
        return answer;
    }

private:
    std::function<void(execution&)> counting(std::function<void(execution&)> starts) const {
        return [runs = world_.runs, starts = std::move(starts)](execution& of) {
            ++*runs;
            if (starts) starts(of);
        };
    }

    [[nodiscard]] store_type store() {
        process_store mortal(world_.store, dead_);
        if constexpr (is_plain) {
            return mortal;
        } else {
            return {std::move(mortal), context_.get_executor()};
        }
    }

    std::optional<http::response<http::string_body>> wait_for_answer(Request request,
                                                                     std::chrono::milliseconds patience) {
        auto const got = std::make_shared<std::optional<http::message_generator>>();
        auto const working = asio::make_work_guard(context_);
        handle_(std::move(request),
                asio::bind_executor(context_.get_executor(),
                                    [got](http::message_generator message) { got->emplace(std::move(message)); }));
        auto const until = std::chrono::steady_clock::now() + patience;
        while (!*got && !*dead_ && context_.run_one_until(until) != 0) {
        }
        while (!*dead_ && context_.poll_one() != 0) {
        }
        if (!*got) return std::nullopt;
        return read_answer(std::move(**got));
    }

    // Destroyed last: what is pending in the context may refer to it.
    std::shared_ptr<bool> dead_ = std::make_shared<bool>(false);
    handler_world const& world_;
    effect_probe probe_;
    asio::io_context context_{1};
    middleware<detail::watched_handler<handler_type>, store_type> handle_;
};

}  // namespace idempo::testing
