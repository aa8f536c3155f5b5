// SPDX-License-Identifier: MIT

// The trace of a service in this process, whose store fails in every way, against the model.

#include "support/catch.hpp"
#include "support/charges.hpp"
#include "support/fault_store.hpp"
#include "support/patience.hpp"
#include "tools/checked_trace.hpp"

#include <idempo/layers/idempotency.hpp>
#include <idempo/stores/memory_store.hpp>
#include <idempo/stores/offload.hpp>
#include <idempo/stores/traced.hpp>
#include <idempo/tracer.hpp>

#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using namespace idempo::tests;
using namespace std::chrono_literals;
namespace asio = boost::asio;

constexpr int clients = 4;
constexpr int keys = 200;

/// A handler that sometimes fails, before its effect or after it.
auto moody_charge(effect_ledger const& ledger, std::uint32_t seed) {
    return [ledger, runs = std::make_shared<std::atomic<std::uint32_t>>(seed)](text_request const&,
                                                                               idempo::execution& execution) {
        switch ((*runs)++ % 10) {
        case 0: return answer_with(503);
        case 1: ledger.append(execution.key()); throw std::runtime_error("after the effect");
        default: return charge(ledger, execution);
        }
    };
}

/// Sends requests for all keys until each has an answer for good.
template <class Service>
void insist(Service const& service, std::atomic<int>& answered) {
    auto const deadline = std::chrono::steady_clock::now() + patience;
    for (int number = 0; number < keys; ++number) {
        auto const key = "key-" + std::to_string(number);
        for (unsigned status = 0; status != 201 && std::chrono::steady_clock::now() < deadline;) {
            status = read(service(keyed_request(key), asio::use_future).get()).result_int();
            if (status == 201) ++answered;
            if (status == 409) std::this_thread::sleep_for(2ms);  // others are to get on
        }
    }
}

check_trace::findings check(std::string const& text) {
    check_trace::assumptions given;
    given.begins_empty = true;
    given.skew = 0;
    given.slack = 1'000;
    return check_lines(text, given);
}

}  // namespace

TEST_CASE("check_trace: what a service does while its store fails is within the model") {
    auto const seed = std::random_device()();
    CAPTURE(seed);
    std::string trace;
    fault_plan plan;
    plan.use(at_random(seed, 0.1, {fault::fails_before, fault::loses_reply, fault::comes_late, fault::sent_twice}));
    idempo::memory_store records;
    std::atomic<int> answered{0};
    {
        effect_ledger ledger;
        idempo::trace_options all;
        all.buffer_bytes = 0;  // no line is dropped
        idempo::tracer const tracer([&trace](std::string_view lines) { trace += lines; }, all);
        idempo::options options;
        options.lease = 100ms;
        options.observer = tracer.observing();
        asio::thread_pool threads(4);
        auto const store =
            idempo::traced(idempo::offload(fault_store<>{records, plan}, threads.get_executor()), tracer);
        auto const service = idempo::idempotency(store, options) | moody_charge(ledger, seed);
        std::vector<std::thread> all_clients;
        for (int number = 0; number < clients; ++number) {
            all_clients.emplace_back([&] { insist(service, answered); });
        }
        for (auto& each : all_clients) each.join();
        threads.join();
    }
    CHECK(answered == clients * keys);
    auto const found = check(trace);
    for (auto const& each : found.first) UNSCOPED_INFO(each.where.line << ": " << each.event << ", " << each.rule);
    CHECK(found.violations == 0);
    CHECK(found.missing == 0);
    // It met what it is about.
    CHECK(found.records >= keys);
    CHECK(found.unanswered > 0);
    for (auto const what : {fault::fails_before, fault::loses_reply, fault::comes_late, fault::sent_twice}) {
        CHECK(plan.count(what) > 0);
    }
    for (auto const* const each : {"claim granted", "claim completed", "complete done"}) {
        CAPTURE(each);
        CHECK(found.counts.find(each) != found.counts.end());
    }
}
