// SPDX-License-Identifier: MIT
#include "orders/metrics.hpp"

#include <prometheus/text_serializer.h>

#include <chrono>
#include <cstddef>

namespace {

using idempo::event_step;
using idempo::event_type;

prometheus::Histogram::BucketBoundaries const seconds{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                                      0.025,  0.05,    0.1,    0.25,  0.5,    1,     2.5};

std::uint64_t value(prometheus::Counter const& counter) { return static_cast<std::uint64_t>(counter.Value()); }

std::string name(event_type type) { return std::string(idempo::to_string(type)); }

}  // namespace

metrics::metrics()
    : responses_(&prometheus::BuildCounter()
                      .Name("orders_http_responses_total")
                      .Help("Answers by status")
                      .Register(registry_)),
      outcomes_(&prometheus::BuildCounter()
                     .Name("orders_idempotency_events_total")
                     .Help("What became of requests with a key: executed, replayed, in_flight (a conflict), mismatch, "
                           "and what happened beside it")
                     .Register(registry_)),
      executed_(&outcome(event_type::executed)),
      replayed_(&outcome(event_type::replayed)),
      conflicts_(&outcome(event_type::in_flight)),
      mismatches_(&outcome(event_type::mismatch)),
      in_flight_(&prometheus::BuildGauge()
                      .Name("orders_in_flight")
                      .Help("Orders that are being placed now")
                      .Register(registry_)
                      .Add({})) {
    auto& store = prometheus::BuildHistogram()
                      .Name("orders_store_seconds")
                      .Help("Time that an operation of the store of records takes")
                      .Register(registry_);
    auto& handler = prometheus::BuildHistogram()
                        .Name("orders_handler_seconds")
                        .Help("Time that it takes to place an order")
                        .Register(registry_);
    for (auto const step :
         {event_step::claim, event_step::complete, event_step::commit, event_step::abandon, event_step::renew}) {
        steps_.at(static_cast<std::size_t>(step)) =
            &store.Add({{"operation", std::string(idempo::to_string(step))}}, seconds);
    }
    steps_.at(static_cast<std::size_t>(event_step::handler)) = &handler.Add({}, seconds);
}

prometheus::Counter& metrics::outcome(event_type type) { return outcomes_->Add({{"event", name(type)}}); }

void metrics::observe(idempo::event const& event) {
    switch (event.type) {
    case event_type::step_began:
    case event_type::step_ended: return observe_step(event);
    case event_type::executed: return executed_->Increment();
    case event_type::replayed: return replayed_->Increment();
    case event_type::in_flight: return conflicts_->Increment();
    case event_type::mismatch: return mismatches_->Increment();
    default: return outcome(event.type).Increment();
    }
}

void metrics::observe_step(idempo::event const& event) {
    bool const began = event.type == event_type::step_began;
    if (event.step == event_step::handler) {
        if (began) {
            in_flight_->Increment();
        } else {
            in_flight_->Decrement();
        }
    }
    auto* const histogram = steps_.at(static_cast<std::size_t>(event.step));
    if (!began && histogram != nullptr) histogram->Observe(std::chrono::duration<double>(event.duration).count());
}

void metrics::count_response(unsigned status) { responses_->Add({{"status", std::to_string(status)}}).Increment(); }

std::string metrics::text() const { return prometheus::TextSerializer().Serialize(registry_.Collect()); }

counters metrics::read() const {
    counters now;
    now.executed = value(*executed_);
    now.replayed = value(*replayed_);
    now.conflicts = value(*conflicts_);
    now.mismatches = value(*mismatches_);
    now.in_flight = static_cast<std::uint64_t>(in_flight_->Value());
    return now;
}
