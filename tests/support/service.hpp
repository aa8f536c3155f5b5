#pragma once

#include "support/fault_store.hpp"
#include "support/gate.hpp"
#include "support/manual_clock.hpp"
#include "support/requests.hpp"

#include <idempo/execution.hpp>
#include <idempo/observer.hpp>
#include <idempo/options.hpp>
#include <idempo/stores/memory_store.hpp>

#include <boost/asio/thread_pool.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <ostream>
#include <vector>

/// \file
/// A test is written once and runs in every style over every kind of store: `auto const how = GENERATE(every_setup())`.

namespace idempo::tests {

/// How the middleware is called, and what it wraps.
enum class style {
    plain,             ///< the one-argument call, around a function
    plain_with_token,  ///< a completion token, around a function
    callback,          ///< a completion token, around a handler that takes one
    awaitable,         ///< `co_await`, around a coroutine
};

/// How the middleware reaches its store. Inside is always a memory store on the manual clock, behind a fault store.
enum class store_kind {
    direct,         ///< it never blocks
    leased,         ///< it blocks: as it is for the one-argument call, `offload` for the others
    erased,         ///< an `any_store` of one that never blocks; behind `blocking` for the one-argument call
    erased_leased,  ///< an `any_store` of an offloaded one; behind `blocking` for the one-argument call
};

struct setup {
    idempo::tests::style style = style::plain;
    store_kind store = store_kind::direct;
};

std::ostream& operator<<(std::ostream& out, setup const& setup);

[[nodiscard]] std::vector<setup> every_setup();

/// Those where a claim has a lease although the handler is fast: takeovers and lost replies are possible.
[[nodiscard]] std::vector<setup> every_leased_setup();

/// Those with a store that is called directly, one for each style.
[[nodiscard]] std::vector<setup> every_style();

/// What is to be wrapped: each style makes a handler of its own kind of it.
using handler_function = std::function<text_response(text_request const&, execution&)>;

/// Something in which the middleware runs as in a server: with threads for the requests, and some for the store.
class service {
public:
    service(setup how, options options, handler_function handler);
    service(service const&) = delete;
    service& operator=(service const&) = delete;
    ~service();

    /// Starts a request on one of the service's threads. Where the one-argument call rethrows, the future does.
    [[nodiscard]] std::future<text_response> start(text_request request);

    /// Waits for the answer; a 500 with the reason "rethrown" where the one-argument call threw.
    text_response send(text_request request);

    [[nodiscard]] bool drain(std::chrono::milliseconds timeout) const;

    [[nodiscard]] fault_plan const& store_faults() const noexcept { return faults_; }
    [[nodiscard]] manual_clock& store_clock() noexcept { return clock_; }
    [[nodiscard]] memory_store& records() noexcept { return records_; }

    /// How often the observer was told of something.
    [[nodiscard]] int told(event_type type) const;
    [[nodiscard]] std::vector<event> events() const;

    class endpoint;

private:
    options observed(options options);

    manual_clock clock_;
    fault_plan faults_{clock_};
    memory_store records_;
    mutable std::mutex mutex_;
    std::vector<event> events_;
    boost::asio::thread_pool store_threads_{2};
    boost::asio::thread_pool threads_{4};
    std::unique_ptr<endpoint> endpoint_;
};

/// The answer, or the 500 that a session makes of an exception.
text_response answer_of(std::future<text_response> pending);

}  // namespace idempo::tests
