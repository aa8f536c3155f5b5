// SPDX-License-Identifier: MIT
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
#include <string>
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
    direct,         ///< the store never blocks
    leased,         ///< the store blocks: as it is for the one-argument call, `offload` for the others
    erased,         ///< an `any_store` of one that never blocks; behind `blocking` for the one-argument call
    erased_leased,  ///< an `any_store` of an offloaded one; behind `blocking` for the one-argument call
};

struct setup {
    idempo::tests::style style = style::plain;
    store_kind store = store_kind::direct;
};

std::ostream& operator<<(std::ostream& out, setup const& setup);

[[nodiscard]] std::vector<setup> every_setup();

/// Setups whose claims have a lease: takeovers and lost replies are possible.
[[nodiscard]] std::vector<setup> every_leased_setup();

/// Setups whose store is called directly, one for each style.
[[nodiscard]] std::vector<setup> every_style();

/// The endpoint to wrap: each style makes its own kind of handler of it.
using handler_function = std::function<text_response(text_request const&, execution&)>;

/// A handler of steps: each style makes its own kind of it. A step makes its result of its key, and may throw; `answer`
/// gets the results, and also decides about the execution.
struct step_script {
    struct step {
        std::string label;
        std::function<std::string(std::string const& key, execution&)> make;
    };
    std::vector<step> steps;
    std::function<text_response(execution&, std::vector<std::string> const& results)> answer;
};

/// Setups in which a handler can have steps: a plain function with a completion token cannot wait for a store.
[[nodiscard]] std::vector<setup> every_step_setup();
[[nodiscard]] std::vector<setup> every_leased_step_setup();

/// Runs the middleware as a server does: with threads for the requests, and some for the store.
class service {
public:
    service(setup how, options options, handler_function handler);
    service(setup how, options options, step_script script);
    service(service const&) = delete;
    service& operator=(service const&) = delete;
    ~service();

    /// Starts a request on one of the service's threads. If the one-argument call rethrows, so does the future.
    [[nodiscard]] std::future<text_response> start(text_request request);

    /// Waits for the response; a 500 with the reason "rethrown" if the one-argument call threw.
    text_response send(text_request request);

    [[nodiscard]] bool drain(std::chrono::milliseconds timeout) const;

    [[nodiscard]] fault_plan const& store_faults() const noexcept { return faults_; }
    [[nodiscard]] manual_clock& store_clock() noexcept { return clock_; }
    [[nodiscard]] memory_store& records() noexcept { return records_; }

    /// How often the observer got an event.
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

/// The response, or the 500 that a session makes of an exception.
text_response answer_of(std::future<text_response> pending);

}  // namespace idempo::tests
