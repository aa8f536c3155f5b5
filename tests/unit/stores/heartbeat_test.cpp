// SPDX-License-Identifier: MIT

// The lease of a slow handler. In real time, but no test measures it: handlers wait until they have counted renewals.

#include "support/catch.hpp"
#include "support/charges.hpp"
#include "support/fault_store.hpp"
#include "support/patience.hpp"
#include "support/poll_until.hpp"
#include "support/posted_store.hpp"

#include <idempo/layers/idempotency.hpp>
#include <idempo/stores/blocking.hpp>
#include <idempo/stores/offload.hpp>
#include <idempo/stores/traced.hpp>
#include <idempo/tracer.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <algorithm>
#include <chrono>
#include <functional>
#include <future>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace idempo::tests;
using namespace std::chrono_literals;
namespace asio = boost::asio;

/// Renewals that span more than a whole lease.
constexpr int a_lease_of_renewals = 4;

using condition = std::function<bool(idempo::execution const&)>;

/// Blocks its thread until the condition holds.
auto blocking_handler(condition until) {
    return [until = std::move(until)](text_request const&, idempo::execution& execution) {
        auto const deadline = std::chrono::steady_clock::now() + patience;
        while (!until(execution)) {
            if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("it never came");
            std::this_thread::sleep_for(1ms);
        }
        return answer_with(201, std::to_string(execution.attempt()) + (execution.lost() ? " lost" : " held"));
    };
}

/// Waits for the condition without blocking anything.
auto suspending_handler(condition until) {
    return [until = std::move(until)](text_request, idempo::execution& execution) -> asio::awaitable<text_response> {
        asio::steady_timer timer(co_await asio::this_coro::executor);
        auto const deadline = std::chrono::steady_clock::now() + patience;
        while (!until(execution)) {
            if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("it never came");
            timer.expires_after(1ms);
            co_await timer.async_wait(asio::use_awaitable);
        }
        co_return answer_with(201, std::to_string(execution.attempt()) + (execution.lost() ? " lost" : " held"));
    };
}

/// A memory store in real time, whose renewals are counted and go wrong.
struct renewed_store {
    [[nodiscard]] condition renewals(int count) const {
        return [plan = plan, count](idempo::execution const&) { return plan.calls(store_call::renew) >= count; };
    }

    fault_plan plan;
    idempo::memory_store records;
    fault_store<true> direct{records, plan};
    fault_store<> leased{records, plan};
};

idempo::options with_lease(std::chrono::milliseconds lease) {
    idempo::options options;
    options.lease = lease;
    return options;
}

condition is_lost() {
    return [](idempo::execution const& execution) { return execution.lost(); };
}

/// Sends a request and, while its handler runs, another.
template <class Middleware>
std::pair<text_response, text_response> send_two(Middleware const& wrapped, asio::io_context& context,
                                                 std::function<void()> while_running) {
    auto first = wrapped(keyed_request(), asio::bind_executor(context, asio::use_future));
    std::thread runner([&] { context.run(); });
    while_running();
    auto second = wrapped(keyed_request(), asio::bind_executor(context, asio::use_future));
    auto answers = std::pair(read(first.get()), read(second.get()));
    runner.join();
    return answers;
}

}  // namespace

TEST_CASE("heartbeat: a slow handler keeps its lease, a rival is told to wait", "[heartbeat]") {
    renewed_store store;
    gate rival;
    auto const enough = [&, renewals = store.renewals(2 * a_lease_of_renewals)](idempo::execution const& execution) {
        if (store.plan.calls(store_call::renew) >= a_lease_of_renewals) rival.open();
        return renewals(execution) && store.plan.calls(store_call::claim) >= 2;
    };
    asio::io_context context;
    auto const wait = [&] { rival.pass(); };
    auto const check = [](auto const& answers) {
        CHECK(answers.first.body() == "1 held");
        CHECK(answers.second.result_int() == 409);
    };
    SECTION("over a store on the same context") {
        posted_store const posted(store.leased, context.get_executor());
        check(send_two(idempo::idempotency(posted, with_lease(150ms)) | suspending_handler(enough), context, wait));
    }
    SECTION("over a store with threads of its own") {
        asio::thread_pool threads(2);
        auto const offloaded = idempo::offload(store.leased, threads.get_executor());
        check(send_two(idempo::idempotency(offloaded, with_lease(150ms)) | suspending_handler(enough), context, wait));
    }
    CHECK(store.plan.calls(store_call::renew) >= 2 * a_lease_of_renewals);
}

TEST_CASE("heartbeat: a handler that blocks its own thread keeps its lease", "[heartbeat]") {
    renewed_store store;
    asio::thread_pool threads(1);
    asio::io_context context;
    auto const wrapped = idempo::idempotency(idempo::offload(store.leased, threads.get_executor()), with_lease(150ms)) |
                         blocking_handler(store.renewals(a_lease_of_renewals));
    auto answer = wrapped(keyed_request(), asio::bind_executor(context, asio::use_future));
    context.run();
    CHECK(read(answer.get()).body() == "1 held");
}

TEST_CASE("heartbeat: blocking keeps the lease of a synchronous handler", "[heartbeat]") {
    renewed_store store;
    asio::thread_pool threads(1);
    auto const check = [&](auto const& blocking) {
        auto const wrapped =
            idempo::idempotency(blocking, with_lease(150ms)) | blocking_handler(store.renewals(a_lease_of_renewals));
        auto first = std::async(std::launch::async, [&] { return wrapped(keyed_request()); });
        poll_until([&] { return store.plan.calls(store_call::renew) >= 2; });
        CHECK(wrapped(keyed_request()).result_int() == 409);
        CHECK(first.get().body() == "1 held");
        CHECK(is_replay(wrapped(keyed_request())));
    };
    auto const blocking = idempo::blocking(idempo::offload(store.leased, threads.get_executor()));
    SECTION("directly") { check(blocking); }
    SECTION("inside traced") {
        check(idempo::traced(blocking, idempo::tracer([](std::string_view) {})));
    }
}

TEST_CASE("heartbeat: an execution learns that it lost its record", "[heartbeat]") {
    renewed_store store;
    std::vector<idempo::event_type> told;
    auto options = with_lease(150ms);
    options.observer = [&](idempo::event const& event) {
        told.push_back(event.type);
        if (event.type != idempo::event_type::step_began || event.step != idempo::event_step::handler) return;
        idempo::error_code error;
        store.records.forget(event.key, error);  // an operator, say
    };
    asio::io_context context;
    posted_store const posted(store.leased, context.get_executor());
    auto const wrapped = idempo::idempotency(posted, options) | suspending_handler(is_lost());
    auto answer = wrapped(keyed_request(), asio::bind_executor(context, asio::use_future));
    context.run();
    CHECK(read(answer.get()).body() == "1 lost");
    CHECK(std::count(told.begin(), told.end(), idempo::event_type::lease_lost) == 1);
    CHECK(store.plan.calls(store_call::renew) == 1);
}

TEST_CASE("heartbeat: a store that is silent for a whole lease may have given the record away", "[heartbeat]") {
    renewed_store store;
    store.plan.use(every(store_call::renew, fault::fails_before));
    std::vector<idempo::event_type> told;
    auto options = with_lease(90ms);
    options.observer = [&](idempo::event const& event) { told.push_back(event.type); };
    asio::io_context context;
    posted_store const posted(store.leased, context.get_executor());
    auto const wrapped = idempo::idempotency(posted, options) | suspending_handler(is_lost());
    auto answer = wrapped(keyed_request(), asio::bind_executor(context, asio::use_future));
    context.run();
    CHECK(read(answer.get()).body() == "1 lost");
    CHECK(std::count(told.begin(), told.end(), idempo::event_type::lease_lost) == 1);
    CHECK(std::count(told.begin(), told.end(), idempo::event_type::store_error) >= 1);
}

TEST_CASE("heartbeat: a renewal that fails is made good by the next", "[heartbeat]") {
    auto const what = GENERATE(fault::fails_before, fault::loses_reply, fault::comes_late, fault::sent_twice);
    renewed_store store;
    store.plan.use(next(store_call::renew, what));
    asio::io_context context;
    posted_store const posted(store.leased, context.get_executor());
    auto const wrapped = idempo::idempotency(posted, with_lease(600ms)) | suspending_handler(store.renewals(2));
    auto answer = wrapped(keyed_request(), asio::bind_executor(context, asio::use_future));
    context.run();
    CHECK(read(answer.get()).body() == "1 held");
}

TEST_CASE("heartbeat: nothing is renewed or waited for after the handler", "[heartbeat]") {
    renewed_store store;
    asio::io_context context;
    auto const wrapped = idempo::idempotency(store.direct, with_lease(std::chrono::hours{1})) |
                         suspending_handler([](idempo::execution const&) { return true; });
    SECTION("under a key") {
        auto answer = wrapped(keyed_request(), asio::bind_executor(context, asio::use_future));
        context.run();  // and returns: no timer is left
        CHECK(read(answer.get()).body() == "1 held");
    }
    SECTION("without a key there was nothing to renew") {
        auto answer = wrapped(unkeyed_request(), asio::bind_executor(context, asio::use_future));
        context.run();
        CHECK(read(answer.get()).body() == "0 held");
    }
    CHECK(store.plan.calls(store_call::renew) == 0);
}

TEST_CASE("heartbeat: none is needed over a store that never blocks", "[heartbeat]") {
    renewed_store store;
    asio::io_context context;
    auto const past_the_lease = [until = std::chrono::steady_clock::now() + 60ms](idempo::execution const&) {
        return std::chrono::steady_clock::now() > until;
    };
    auto const wrapped = idempo::idempotency(store.direct, with_lease(30ms)) | suspending_handler(past_the_lease);
    auto const answers = send_two(wrapped, context, [] {});
    CHECK(answers.first.body() == "1 held");
    CHECK((answers.second.result_int() == 409 || is_replay(answers.second)));
    CHECK(store.plan.calls(store_call::renew) == 0);
}

TEST_CASE("heartbeat: can be switched off", "[heartbeat]") {
    renewed_store store;
    asio::io_context context;
    auto options = with_lease(30ms);
    options.heartbeat = false;
    auto const past_the_lease = [until = std::chrono::steady_clock::now() + 60ms](idempo::execution const&) {
        return std::chrono::steady_clock::now() > until;
    };
    auto const wrapped = idempo::idempotency(store.direct, options) | suspending_handler(past_the_lease);
    auto answer = wrapped(keyed_request(), asio::bind_executor(context, asio::use_future));
    context.run();
    CHECK(read(answer.get()).body() == "1 held");  // nobody took over
    CHECK(store.plan.calls(store_call::renew) == 0);
}
